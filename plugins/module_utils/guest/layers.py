# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lies between a filesystem and the disks: LVM, arrays, encryption."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .storage import Storage, device_of

_PARTITION = re.compile(r"(/dev/[sv]d[a-z]+)\d*$")
# The module for what mdadm calls a level.
_LEVELS = {
    "linear": "linear",
    "raid0": "raid0",
    "raid1": "raid1",
    "raid10": "raid10",
    "raid4": "raid456",
    "raid5": "raid456",
    "raid6": "raid456",
}
# The module for what LVM calls the module of a logical volume.
_TARGETS = {
    "thin": "dm_thin_pool",
    "thin-pool": "dm_thin_pool",
    "raid": "dm_raid",
    "mirror": "dm_mirror",
    "cache": "dm_cache",
    "cache-pool": "dm_cache",
    "snapshot": "dm_snapshot",
    "crypt": "dm_crypt",
}


@dataclass(frozen=True)
class Layers:
    """What a filesystem stands on.

    Attributes:
        disks: The disks, /dev/sda and so on.
        modules: Kernel modules that the layers need.
        programs: Programs in an initramfs without which no layer is set up.
    """

    disks: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()


def layers_of(handle: Any, storage: Storage, mountables: Iterable[str]) -> Layers:
    """Return what several mounted filesystems stand on, together."""
    return _together(
        layers_under(handle, member)
        for mountable in mountables
        for member in storage.members(device_of(mountable))
    )


def layers_under(handle: Any, device: str) -> Layers:
    """Return what *device* (a disk, partition, logical volume or array) stands on."""
    partition = _PARTITION.match(device)
    if partition:
        return Layers(disks=(partition.group(1),))
    if device in handle.list_md_devices():
        return _array(handle, device)
    if device in handle.lvs():
        return _logical_volume(handle, device)
    return Layers()


def _array(handle: Any, device: str) -> Layers:
    level = handle.md_detail(device).get("level", "")
    members = [f"/dev/{member['mdstat_device']}" for member in handle.md_stat(device)]
    below = _together(layers_under(handle, member) for member in members)
    module = _LEVELS.get(level)
    return Layers(
        below.disks,
        _unique(("md_mod", *((module,) if module else ()), *below.modules)),
        _unique(("mdadm", *below.programs)),
    )


def _logical_volume(handle: Any, device: str) -> Layers:
    group = device.split("/")[2]
    # With hyphens or without, as each call has it.
    uuids = {uuid.replace("-", "") for uuid in handle.vgpvuuids(group)}
    members = [pv["pv_name"] for pv in handle.pvs_full() if pv["pv_uuid"].replace("-", "") in uuids]
    below = _together(layers_under(handle, member) for member in members)
    own_uuid = handle.lvuuid(device).replace("-", "")
    targets = [
        target
        for volume in handle.lvs_full()
        if volume["lv_uuid"].replace("-", "") == own_uuid
        for target in volume["modules"].split(",")
    ]
    modules = [_TARGETS[target] for target in targets if target in _TARGETS]
    return Layers(
        below.disks,
        _unique(("dm_mod", *modules, *below.modules)),
        _unique(("lvm", *below.programs)),
    )


def _together(parts: Iterable[Layers]) -> Layers:
    every = list(parts)
    return Layers(
        _unique(name for part in every for name in part.disks),
        _unique(name for part in every for name in part.modules),
        _unique(name for part in every for name in part.programs),
    )


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
