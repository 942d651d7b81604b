# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read an OVF package's .mf, the digests of its files (DSP0243, 5.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(r"^(SHA-?[0-9]+)\s*\((.+)\)\s*=\s*([0-9A-Fa-f]+)\s*$", re.IGNORECASE)
_DIGITS = {"sha1": 40, "sha256": 64, "sha384": 96, "sha512": 128}


@dataclass(frozen=True)
class Digest:
    """A file's digest: the algorithm as hashlib calls it, and lowercase hexadecimal digits."""

    algorithm: str
    value: str


def parse_mf(text: str) -> tuple[dict[str, Digest], list[str]]:
    """Return the digests by file name, and the lines that are none.

    A file named twice with different digests, as some exporters leave it after
    a second run, is none either: which of them holds is not said.
    """
    digests: dict[str, Digest] = {}
    odd: list[str] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        match = _LINE.match(line.strip())
        algorithm = match.group(1).lower().replace("-", "") if match else ""
        if match is None or len(match.group(3)) != _DIGITS.get(algorithm, -1):
            odd.append(line.strip())
            continue
        name, digest = match.group(2), Digest(algorithm, match.group(3).lower())
        if digests.setdefault(name, digest) != digest:
            odd.append(line.strip())
    return digests, odd
