# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read what vsphere_ovf_export returned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .findings import ManifestError, shown
from .guest_ids import os_hint
from .model import Artifacts, Disk, Machine, Nic
from .schema import PROVIDER_FACTS

_ACTION = "Give export the registered result of vsphere_ovf_export as it is."
_FIRMWARES = {"bios": "bios", "efi": "uefi", "uefi": "uefi"}


def read_export(result: Mapping[str, Any], *, check_mode: bool = False) -> Artifacts:
    """Return what the result of an export says of the VM and its disks.

    In check mode an export doesn't know yet how large its files are going to be.

    Raises:
        ManifestError: The result lacks something, or has it in another form.
    """
    vm = _member(result, "export", "vm", Mapping)
    disks = _member(result, "export", "disks", list)
    if not disks:
        raise ManifestError(
            "export.disks is empty: there is no disk to write a manifest for.", action=_ACTION
        )
    directory = Path(_member(result, "export", "dest", str))
    export_format = str(
        result.get("format")
        or ("ova" if str(result.get("ovf_path", "")).endswith(".ova") else "ovf")
    )
    guest_id = str(vm.get("guest_id") or "")
    vcenter = str(vm.get("vcenter_url") or "")
    return Artifacts(
        provider="vsphere",
        export_method="hypersdk-nfc",
        export_format=export_format,
        directory=directory,
        machine=Machine(
            name=_member(vm, "export.vm", "name", str),
            id=str(vm.get("moid") or ""),
            cpu=_whole(vm, "export.vm", "cpu"),
            memory_mb=_whole(vm, "export.vm", "memory_mb"),
            firmware=_FIRMWARES.get(str(vm.get("firmware") or "").lower(), "unknown"),
            secure_boot=bool(vm["secure_boot"]) if vm.get("secure_boot") is not None else None,
            os_hint=os_hint(guest_id) if guest_id else "unknown",
            os_version=guest_id,
            nics=tuple(_nic(index, nic) for index, nic in enumerate(vm.get("nics") or [])),
        ),
        disks=tuple(_disk(index, disk, check_mode) for index, disk in enumerate(disks)),
        datacenter=str(vm.get("datacenter") or ""),
        facts={
            key: vm[key]
            for key in PROVIDER_FACTS["vsphere"]
            if isinstance(vm.get(key), (str, int, bool)) and vm[key] != ""
        },
        tags={"vcenter_url": vcenter} if vcenter else {},
        notes=(f"Exported from vSphere, export method: {export_format}",),
        warnings=tuple(str(warning) for warning in result.get("warnings") or [] if str(warning)),
    )


def _disk(index: int, disk: Any, check_mode: bool) -> Disk:
    where = f"export.disks[{index}]"
    if not isinstance(disk, Mapping):
        raise ManifestError(f"{where} is {shown(disk)}, which is not an object.", action=_ACTION)
    boots = disk.get("boot")
    kind = str(disk.get("controller") or "")
    return Disk(
        path=Path(_member(disk, where, "path", str)),
        size=_size(disk, where, check_mode),
        source_format=str(disk.get("format") or "vmdk"),
        id=str(disk.get("id") or ""),
        capacity=_whole(disk, where, "capacity"),
        checksum=str(disk["checksum"]) if disk.get("checksum") else None,
        boots=bool(boots) if boots is not None else None,
        boot_order=_whole(disk, where, "boot_order"),
        label=str(disk.get("label") or ""),
        controller=f"{kind}{disk.get('bus_number', '')}" if kind else "",
        unit_number=_whole(disk, where, "unit_number"),
    )


def _size(disk: Mapping[str, Any], where: str, check_mode: bool) -> int:
    size = _whole(disk, where, "size")
    if size is None and not check_mode:
        raise ManifestError(f"{where}.size is missing.", action=_ACTION)
    return size or 0


def _nic(index: int, nic: Any) -> Nic:
    where = f"export.vm.nics[{index}]"
    if not isinstance(nic, Mapping):
        raise ManifestError(f"{where} is {shown(nic)}, which is not an object.", action=_ACTION)
    return Nic(
        mac=str(nic.get("mac") or ""),
        network=str(nic.get("network") or ""),
        label=str(nic.get("label") or ""),
        adapter_type=str(nic.get("adapter_type") or ""),
        pci_slot=_whole(nic, where, "pci_slot"),
        addresses=_strings(nic, "addresses"),
        ip_config=tuple(
            _ip_config(place, config, where)
            for place, config in enumerate(nic.get("ip_config") or [])
        ),
        gateways=_strings(nic, "gateways"),
        dns_servers=_strings(nic, "dns_servers"),
        dns_search=_strings(nic, "dns_search"),
    )


def _ip_config(place: int, config: Any, nic: str) -> dict[str, Any]:
    where = f"{nic}.ip_config[{place}]"
    if not isinstance(config, Mapping):
        raise ManifestError(f"{where} is {shown(config)}, which is not an object.", action=_ACTION)
    return {
        "address": _member(config, where, "address", str),
        "prefix": _whole(config, where, "prefix"),
        "origin": str(config.get("origin") or ""),
    }


def _strings(holder: Mapping[str, Any], key: str) -> tuple[str, ...]:
    return tuple(str(value) for value in holder.get(key) or [])


def _member(holder: Mapping[str, Any], where: str, key: str, kind: Any) -> Any:
    value = holder.get(key)
    if value is None:
        raise ManifestError(f"{where}.{key} is missing.", action=_ACTION)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ManifestError(
            f"{where}.{key} is {shown(value)}, which is of the wrong type.", action=_ACTION
        )
    return value


def _whole(holder: Mapping[str, Any], where: str, key: str) -> int | None:
    value = holder.get(key)
    if value is None:
        return None
    # A playbook's templates may have made a string of a number.
    try:
        return int(str(value))
    except ValueError:
        raise ManifestError(
            f"{where}.{key} is {shown(value)}, which is not a whole number.", action=_ACTION
        ) from None
