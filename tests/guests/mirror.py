# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Debian mirror this machine's apt uses, so that guests come from there too.

Both of apt's forms are read: one line a source (sources.list) and deb822
paragraphs (*.sources). $HYPER2KVM_TEST_MIRROR names another mirror.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# A Debian release's name as a suite of its own: not -updates, not -security.
_RELEASES = {
    *("bullseye", "bookworm", "trixie", "forky", "sid"),
    *("oldstable", "stable", "testing", "unstable"),
}
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True)
class Mirror:
    """A Debian archive: where it is, what signs it, and the proxy on the way there."""

    uri: str
    keyring: Path
    proxy: str = ""


def configured(apt: Path = Path("/etc/apt")) -> Mirror:
    """Return the archive that apt is configured with.

    Args:
        apt: The directory of apt's configuration.

    Raises:
        LookupError: apt knows no Debian archive.
    """
    own = os.environ.get("HYPER2KVM_TEST_MIRROR", "")
    for uri in [own] if own else _uris(apt):
        return Mirror(uri=uri.rstrip("/"), keyring=_KEYRING, proxy=_proxy())
    raise LookupError(
        f"{apt} names no Debian archive; name one in HYPER2KVM_TEST_MIRROR, by its URL."
    )


def _uris(apt: Path) -> Iterator[str]:
    lists = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    for path in lists:
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        entries = _deb822(text) if path.suffix == ".sources" else _one_line(text)
        for uri, suites in entries:
            if suites & _RELEASES and not uri.startswith("cdrom:"):
                yield _resolved(uri)


def _one_line(text: str) -> Iterator[tuple[str, set[str]]]:
    for match in re.finditer(r"^\s*deb\s+(?:\[[^]]*\]\s*)?(\S+)\s+(\S+)\s+main\b", text, re.M):
        yield match[1], {match[2]}


def _deb822(text: str) -> Iterator[tuple[str, set[str]]]:
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for paragraph in re.split(r"\n\s*\n", kept):
        fields = {
            name.lower(): value.split()
            for name, value in re.findall(r"^([\w-]+):((?:.*(?:\n[ \t].*)*))", paragraph, re.M)
        }
        wanted = "deb" in fields.get("types", []) and "main" in fields.get("components", [])
        if wanted and fields.get("enabled", ["yes"]) != ["no"]:
            for uri in fields.get("uris", []):
                yield uri, set(fields.get("suites", []))


def _resolved(uri: str) -> str:
    """Return the first mirror that a list of mirrors names (Debian's cloud images have one)."""
    if not uri.startswith("mirror+file:"):
        return uri
    return Path(uri[len("mirror+file:") :]).read_text(encoding="utf-8").split()[0]


def _proxy() -> str:
    argv = ["apt-config", "shell", "PROXY", "Acquire::http::Proxy"]
    output = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    match = re.match(r"PROXY='([^']*)'", output)
    return match[1] if match else ""
