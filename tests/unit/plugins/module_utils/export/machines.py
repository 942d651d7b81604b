# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""VMs as vCenter might describe them, for tests that need no vCenter."""

from __future__ import annotations

from typing import Any

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.facts import Vm
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.hardware import Disk
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.lease import DeviceUrl


def disk(number: int, **values: Any) -> Disk:
    """Return a disk at the unit of this number of the first pvscsi controller."""
    given: dict[str, Any] = {
        "key": 2000 + number,
        "label": f"Hard disk {number + 1}",
        "capacity": 1 << 20,
        "controller": "pvscsi",
        "bus_number": 0,
        "unit_number": number,
        "content_id": f"{number:08x}",
        "datastore": "ds1",
        "used": 1 << 19,
        **values,
    }
    return Disk(**given)


def vm(*disks: Disk, **values: Any) -> Vm:
    """Return a VM with these disks."""
    given: dict[str, Any] = {
        "name": "web01",
        "moid": "vm-42",
        "uuid": "u",
        "instance_uuid": "i",
        "datacenter": "DC0",
        "folder": "/",
        "host": "esxi01",
        "cpu": 1,
        "memory_mb": 1024,
        "firmware": "bios",
        "secure_boot": False,
        "guest_id": "debian12_64Guest",
        "guest_full_name": "Debian",
        "power_state": "poweredOff",
        "tools_running": False,
        "template": False,
        "change_version": "1",
        "disks": disks,
        "nics": (),
        **values,
    }
    return Vm(**given)


def url(key: str, *, is_disk: bool = True, target: str = "x.vmdk", **values: Any) -> DeviceUrl:
    """Return a URL of a lease."""
    given: dict[str, Any] = {
        "key": key,
        "url": "https://esxi01/nfc/ticket/x.vmdk",
        "thumbprint": "AB" * 20,
        "is_disk": is_disk,
        "target_id": target,
        **values,
    }
    return DeviceUrl(**given)
