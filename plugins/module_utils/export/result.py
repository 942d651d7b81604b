# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module returns of an export: all that the manifest needs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..vmdk.working_copy import is_fresh_copy
from ..vsphere.connection import VCenter
from ..vsphere.facts import Vm
from ..vsphere.hardware import Disk, Nic
from . import names
from .fetching import working_copy_of
from .record import ExportedFile, Record
from .request import ExportRequest


def result_of(record: Record, vm: Vm, vcenter: VCenter, request: ExportRequest) -> dict[str, Any]:
    """Return the result of an export, new or unchanged."""
    directory = request.directory
    vm = vm.with_guest_networks(record.seen_networks())
    parts = record.members or record.files
    by_kind = {file.kind: file for file in (*parts, *record.files)}
    by_key = {file.device_key: file for file in parts if file.kind == "disk"}
    result = {
        "dest": str(directory),
        "files": [_file(file, directory) for file in record.files],
        "disks": [
            _disk(disk, index, by_key[disk.key], request) for index, disk in enumerate(vm.disks)
        ],
        "vm": vm_result(vm, vcenter),
        "duration": record.duration,
        "bytes_transferred": record.bytes_transferred,
    }
    return {**result, **_package_paths(directory, {k: f.name for k, f in by_kind.items()})}


def planned_result(vm: Vm, vcenter: VCenter, request: ExportRequest) -> dict[str, Any]:
    """Return the result that an export is going to have, as far as it is known before."""
    directory, base = request.directory, names.base_name(vm)
    package = {"descriptor": f"{base}.ovf", "manifest": f"{base}.mf"}
    if request.ova:
        package["ova"] = names.ova_name(vm, compress=request.compress)
    disks = [
        {
            **disk_result(disk, index),
            "path": _disk_path(directory, names.disk_name(vm, index), request),
        }
        for index, disk in enumerate(vm.disks)
    ]
    return {
        "dest": str(directory),
        "disks": disks,
        "vm": vm_result(vm, vcenter),
        **_package_paths(directory, package),
    }


def planned_paths(planned: dict[str, Any]) -> list[str]:
    """Return the files that a planned export is going to make."""
    if "ova_path" in planned:
        return [planned["ova_path"]]
    return [planned["ovf_path"], planned["mf_path"], *(disk["path"] for disk in planned["disks"])]


def vm_result(vm: Vm, vcenter: VCenter) -> dict[str, Any]:
    """Return the facts of a VM as a result."""
    facts: dict[str, Any] = asdict(vm)
    del facts["disks"]
    facts["nics"] = [_nic(nic) for nic in vm.nics]
    facts["vcenter_url"] = vcenter.url
    return facts


def disk_result(disk: Disk, index: int) -> dict[str, Any]:
    """Return the facts of a disk as a result; the first boots."""
    return {
        "id": f"disk-{index}",
        "label": disk.label,
        "format": "vmdk",
        "capacity": disk.capacity,
        "used": disk.used,
        "datastore": disk.datastore,
        "file": disk.file,
        "mode": disk.mode,
        "raw_mapping": disk.raw_mapping,
        "shared": disk.shared,
        "controller": disk.controller,
        "bus_number": disk.bus_number,
        "unit_number": disk.unit_number,
        "boot": index == 0,
        "boot_order": index,
    }


def _nic(nic: Nic) -> dict[str, Any]:
    facts = {key: value for key, value in vars(nic).items() if key != "guest"}
    return {**facts, **nic.guest.as_dict()}


def _package_paths(directory: Path, package: dict[str, str]) -> dict[str, str]:
    """Return where the package's parts are; what is inside an OVA has no path."""
    if "ova" in package:
        return {"ova_path": str(directory / package["ova"])}
    return {
        "ovf_path": str(directory / package["descriptor"]),
        "mf_path": str(directory / package["manifest"]),
    }


def _disk_path(directory: Path, name: str, request: ExportRequest) -> str:
    return "" if request.ova else str(directory / name)


def _file(file: ExportedFile, directory: Path) -> dict[str, Any]:
    return {
        "path": str(directory / file.name),
        "size": file.size,
        "checksum": file.checksum,
        "kind": file.kind,
    }


def _disk(disk: Disk, index: int, file: ExportedFile, request: ExportRequest) -> dict[str, Any]:
    copy = working_copy_of(request, index) if request.working_copies else None
    return {
        **disk_result(disk, index),
        "path": _disk_path(request.directory, file.name, request),
        "working_copy": str(copy) if copy and is_fresh_copy(copy, file.checksum) else "",
        "size": file.size,
        "checksum": file.checksum,
    }
