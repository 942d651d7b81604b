# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The devices that systemd's own units of mounts and swap name (systemd.mount, systemd.swap(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..files import GuestFiles, text_of

_UNITS = "/etc/systemd/system"
_SETTING = re.compile(r"(What|Where|Type)\s*=\s*(.*?)\s*$")


@dataclass(frozen=True)
class DeviceUnit:
    """A unit of a mount or of swap space.

    Attributes:
        path: Its file.
        what: The device; as it is written.
        where: Where it is mounted, "" for swap.
        type: The filesystem's, "" where that is not said.
        enabled: Whether a boot starts it, or what mounts it on demand.
    """

    path: str
    what: str
    where: str
    type: str
    enabled: bool


def find_device_units(files: GuestFiles) -> Iterator[DeviceUnit]:
    """Yield the units of mounts and swap that the guest's owner wrote."""
    names = files.list(_UNITS)
    wanted = {
        name
        for directory in names
        if directory.endswith((".wants", ".requires"))
        for name in files.list(f"{_UNITS}/{directory}")
    }
    for name in names:
        stem, _dot, kind = name.rpartition(".")
        if kind not in ("mount", "swap"):
            continue
        lines = text_of(files, f"{_UNITS}/{name}").splitlines()
        # Of several the last counts.
        settings = {found[1]: found[2] for found in map(_SETTING.match, lines) if found}
        if "What" in settings:
            yield DeviceUnit(
                path=f"{_UNITS}/{name}",
                what=settings["What"],
                where=settings.get("Where", ""),
                type="swap" if kind == "swap" else settings.get("Type", ""),
                enabled=bool({name, f"{stem}.automount"} & wanted),
            )
