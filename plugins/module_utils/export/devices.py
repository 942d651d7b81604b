# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of the VM's devices each URL of a lease belongs to."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ..vsphere.facts import Vm
from ..vsphere.hardware import Disk, controller_kind
from ..vsphere.lease import DeviceUrl
from . import names
from .errors import ExportError

# "/vm-42/ParaVirtualSCSIController0:1": the controller, its bus number and the disk's unit.
_ADDRESS = re.compile(r"/(\w+?Controller)(\d+):(\d+)$")


@dataclass(frozen=True)
class ExportItem:
    """A file that the lease offers and that is wanted."""

    url: DeviceUrl
    name: str
    """Its file name in the export."""
    kind: str
    """disk, nvram or cdrom."""
    disk: Disk | None = None
    index: int = 0
    """The disk's place among the VM's disks."""


def match_urls(
    vm: Vm, urls: Sequence[DeviceUrl], extras: Collection[str] = ("nvram",)
) -> tuple[ExportItem, ...]:
    """Return what to fetch: every disk, in the order of the VM's disks, then the extras.

    Args:
        vm: The VM.
        urls: What the lease offers.
        extras: What is wanted beside the disks, where there is such: "nvram", "cdrom".

    Raises:
        ExportError: The lease lacks a disk of the VM or offers one that it doesn't have.
    """
    remaining = {disk.address: disk for disk in vm.disks}
    matched: dict[int, DeviceUrl] = {}
    unmatched = []
    for url in urls:
        if not url.is_disk:
            continue
        address = _ADDRESS.search(url.key)
        disk = remaining.pop(_device_address(address), None) if address else None
        if disk:
            matched[disk.key] = url
        else:
            unmatched.append(url)
    # A key of another form tells nothing, unless only one disk is left that it can mean.
    if len(unmatched) == 1 and len(remaining) == 1:
        (disk,) = remaining.values()
        matched[disk.key] = unmatched.pop()
        remaining.clear()
    if unmatched or remaining:
        missing = ", ".join(disk.label for disk in remaining.values()) or "none"
        offered = ", ".join(url.key for url in unmatched) or "none"
        raise ExportError(
            f"The lease of {vm.name} doesn't fit its disks: not offered are {missing}, "
            f"not known are {offered}.",
            action="An independent disk, or a raw device mapping in physical mode, can't be exported.",
        )
    items = [
        ExportItem(matched[disk.key], names.disk_name(vm, index), "disk", disk, index)
        for index, disk in enumerate(vm.disks)
    ]
    if "nvram" in extras:
        items += [
            ExportItem(url, names.nvram_name(vm), "nvram") for url in _ending(urls, ".nvram")[:1]
        ]
    if "cdrom" in extras:
        items += [
            ExportItem(url, names.cdrom_name(vm, index), "cdrom")
            for index, url in enumerate(_ending(urls, ".iso"))
        ]
    return tuple(items)


def _ending(urls: Sequence[DeviceUrl], suffix: str) -> list[DeviceUrl]:
    return [url for url in urls if not url.is_disk and url.target_id.lower().endswith(suffix)]


def _device_address(match: re.Match[str]) -> tuple[str, int, int]:
    return controller_kind(match[1]), int(match[2]), int(match[3])
