# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make the document of a manifest from what is known of a VM and what its user asks for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .findings import ManifestError
from .model import Artifacts, Disk, Machine, Nic

#: Written where hypersdk writes its own version; a test keeps it equal to galaxy.yml's.
WRITER_VERSION = "0.1.0"

#: The pipeline of a manifest for which nothing else is asked: every switch is
#: written, because a stage that hyper2kvm finds no word about does not run.
DEFAULT_PIPELINE: dict[str, dict[str, Any]] = {
    "inspect": {"enabled": True, "collect_guest_info": True},
    "fix": {
        "enabled": True,
        "backup": True,
        "print_fstab": False,
        "update_grub": True,
        "regen_initramfs": True,
        "fstab_mode": "stabilize-all",
        "remove_vmware_tools": False,
    },
    "convert": {"enabled": True, "compress": True},
    "validate": {"enabled": True, "check_image_integrity": True},
}
DEFAULT_FORMAT = "qcow2"


def describe(artifacts: Artifacts, *, boot_disk: str = "") -> dict[str, Any]:
    """Return the part of the document that the source determines: source, vm, disks, nics, metadata, notes.

    Raises:
        ManifestError: boot_disk names no disk.
    """
    machine = artifacts.machine
    disks = in_boot_order(artifacts.disks, boot_disk)
    document: dict[str, Any] = {
        "manifest_version": "1.0",
        "source": {
            "provider": artifacts.provider,
            "vm_id": machine.id,
            "vm_name": machine.name,
            "datacenter": artifacts.datacenter,
            "export_timestamp": _exported_at(disks),
            "export_method": artifacts.export_method,
        },
        "vm": _vm(machine),
        "disks": [_disk(disk) for disk in disks],
        "nics": [_nic(index, nic) for index, nic in enumerate(machine.nics)],
        "metadata": {
            "hypersdk_version": WRITER_VERSION,
            "job_id": machine.id,
            "tags": {
                "provider": artifacts.provider,
                "export_format": artifacts.export_format,
                **artifacts.tags,
            },
        },
        "notes": list(artifacts.notes),
        "warnings": [{"stage": "export", "message": message} for message in artifacts.warnings],
    }
    if artifacts.facts:
        document["metadata"][artifacts.provider] = dict(artifacts.facts)
    known: dict[str, Any] = _without_blanks(document)
    return known


def defaults(directory: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is written where neither the source nor the user says anything.

    With a profile the stages' switches and the format are the profile's: the
    manifest's own would win over them, so only what the user sets is written.
    """
    document: dict[str, Any] = {"output": {"directory": str(directory / "out")}}
    if not settings.get("profile"):
        document["output"]["format"] = DEFAULT_FORMAT
        document["pipeline"] = {
            stage: dict(switches) for stage, switches in DEFAULT_PIPELINE.items()
        }
    return document


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return both objects in one: above wins, objects go into each other, lists replace each other."""
    result = dict(below)
    for key, value in above.items():
        held = result.get(key)
        result[key] = (
            merged(held, value) if isinstance(held, dict) and isinstance(value, Mapping) else value
        )
    return result


def in_boot_order(disks: Sequence[Disk], boot_disk: str = "") -> list[Disk]:
    """Return the disks with ids, and with boot_order 0 for the one that boots and for no other.

    The one that boots is the one that the user names, else the first of those
    that the source marks, else the one with the lowest boot order, else the first.

    Raises:
        ManifestError: boot_disk names no disk.
    """
    ids = [disk.id or f"disk-{index}" for index, disk in enumerate(disks)]
    if not boot_disk:
        chosen = min(
            range(len(disks)),
            key=lambda index: (not disks[index].boots, _rank(disks[index])),
            default=0,
        )
    elif boot_disk in ids:
        chosen = ids.index(boot_disk)
    else:
        raise ManifestError(
            f"boot_disk is {boot_disk}, and there is no disk of that id.",
            action=f"Name one of {', '.join(ids)}.",
        )
    # sorted is stable: disks without an order of their own keep the source's.
    order = sorted(range(len(disks)), key=lambda index: (index != chosen, _rank(disks[index])))
    places = {index: place for place, index in enumerate(order)}
    return [
        replace(disk, id=ids[index], boot_order=places[index], boots=index == chosen)
        for index, disk in enumerate(disks)
    ]


def _rank(disk: Disk) -> tuple[bool, int]:
    """Order disks by their place in the boot order, those without one last."""
    return disk.boot_order is None, disk.boot_order or 0


def mem_gb(memory_mb: int) -> int:
    """Return MiB as GiB, rounded up: hyper2kvm takes whole GiB of at least 1."""
    return max(1, -(-memory_mb // 1024))


def timestamp(seconds: float) -> str:
    """Return a time since the epoch as the manifest writes it, in UTC."""
    return datetime.fromtimestamp(int(seconds), tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _vm(machine: Machine) -> dict[str, Any]:
    memory = machine.memory_mb
    return {
        "cpu": machine.cpu,
        "mem_gb": mem_gb(memory) if memory else None,
        "memory_mb": memory,
        "firmware": machine.firmware or "unknown",
        "secureboot": machine.secure_boot,
        "os_hint": machine.os_hint,
        "os_version": machine.os_version,
    }


def _disk(disk: Disk) -> dict[str, Any]:
    return {
        "id": disk.id,
        "source_format": disk.source_format,
        "bytes": disk.size,
        "local_path": str(disk.path),
        "checksum": disk.checksum,
        "boot_order_hint": disk.boot_order,
        "label": disk.label,
        "disk_type": "boot" if disk.boots else "data",
        "capacity": disk.capacity,
        "controller": disk.controller,
        "unit_number": disk.unit_number,
    }


def _nic(index: int, nic: Nic) -> dict[str, Any]:
    return {
        "id": f"nic-{index}",
        "mac": nic.mac.lower(),
        "network": nic.network,
        "label": nic.label,
        "adapter_type": nic.adapter_type,
        "pci_slot": nic.pci_slot,
        "addresses": list(nic.addresses),
        "ip_config": [dict(config) for config in nic.ip_config],
        "gateways": list(nic.gateways),
        "dns_servers": list(nic.dns_servers),
        "dns_search": list(nic.dns_search),
    }


def _exported_at(disks: Sequence[Disk]) -> str | None:
    """Return when the last disk's file was complete, or None when they aren't there yet (check mode)."""
    times = [os.stat(disk.path).st_mtime for disk in disks if disk.path.exists()]
    return timestamp(max(times)) if times else None


def _without_blanks(value: Any) -> Any:
    """Leave out what isn't known: hyper2kvm crashes on a checksum that is null."""
    if isinstance(value, dict):
        members = (
            (key, _without_blanks(member) if isinstance(member, (dict, list)) else member)
            for key, member in value.items()
        )
        # None and what is empty go; 0 and False stay.
        return {key: member for key, member in members if member or member == 0}
    if isinstance(value, list):
        return [_without_blanks(member) for member in value]
    return value
