# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""fstab(5) and crypttab(5): their entries, and lines with another device in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

FSTAB = "/etc/fstab"
_OPTIONAL = frozenset({"noauto", "nofail"})


@dataclass(frozen=True)
class Mount:
    """One entry of fstab; `line` counts from 0."""

    line: int
    spec: str
    mount_point: str
    type: str
    options: tuple[str, ...]

    @property
    def is_optional(self) -> bool:
        """Whether the guest boots on without it, by its owner's wish."""
        return bool(_OPTIONAL & set(self.options))

    @property
    def is_swap(self) -> bool:
        """Whether it is swap space."""
        return self.type == "swap"

    @property
    def is_mounted(self) -> bool:
        """Whether it is a filesystem that is mounted at boot."""
        return self.mount_point.startswith("/") and "noauto" not in self.options


@dataclass(frozen=True)
class Encrypted:
    """One entry of crypttab; `line` counts from 0."""

    line: int
    name: str
    spec: str
    options: tuple[str, ...]

    @property
    def is_optional(self) -> bool:
        """Whether the guest boots on without it, by its owner's wish."""
        return bool(_OPTIONAL & set(self.options))


def parse_fstab(text: str) -> tuple[Mount, ...]:
    """Return the entries of an fstab."""
    mounts = []
    for number, line in enumerate(text.splitlines()):
        fields = line.split()
        if len(fields) < 3 or fields[0].startswith("#"):
            continue
        options = tuple(fields[3].split(",")) if len(fields) > 3 else ()
        place = fields[1].replace("\\040", " ")
        if len(place) > 1:
            place = place.rstrip("/")
        mounts.append(Mount(number, fields[0], place, fields[2], options))
    return tuple(mounts)


def parse_crypttab(text: str) -> tuple[Encrypted, ...]:
    """Return the entries of a crypttab."""
    entries = []
    for number, line in enumerate(text.splitlines()):
        fields = line.split()
        if len(fields) < 2 or fields[0].startswith("#"):
            continue
        options = tuple(fields[3].split(",")) if len(fields) > 3 else ()
        entries.append(Encrypted(number, fields[0], fields[1], options))
    return tuple(entries)


def with_devices(text: str, devices: Mapping[int, tuple[str, str]]) -> str:
    """Return *text* with the device of some lines replaced, all else as it was.

    Args:
        text: An fstab or crypttab.
        devices: For a line's number, the device that it names and the one to name.
    """
    lines = text.splitlines(keepends=True)
    for number, (before, after) in devices.items():
        match = re.search(rf"(?<!\S){re.escape(before)}(?!\S)", lines[number])
        if match:
            line = lines[number]
            lines[number] = line[: match.start()] + after + line[match.end() :]
    return "".join(lines)
