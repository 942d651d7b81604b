# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
from typing import Any

import pytest

_DOCUMENT: dict[str, Any] = {
    "manifest_version": "1.0",
    "source": {
        "provider": "vsphere",
        "vm_id": "vm-1234",
        "vm_name": "production-webserver-01",
        "datacenter": "DC0",
        "export_timestamp": "2026-01-21T20:00:00Z",
        "export_method": "hypersdk-nfc",
    },
    "vm": {
        "cpu": 4,
        "mem_gb": 16,
        "firmware": "uefi",
        "os_hint": "linux",
        "os_version": "ubuntu64Guest",
    },
    "disks": [
        {
            "id": f"disk-{number}",
            "source_format": "vmdk",
            "bytes": 1073741824,
            "local_path": f"/work/export/disk{number}.vmdk",
            "checksum": "sha256:" + f"{number}" * 64,
            "boot_order_hint": number,
            "disk_type": "data" if number else "boot",
        }
        for number in range(2)
    ],
    "pipeline": {
        "inspect": {"enabled": True, "collect_guest_info": True},
        "fix": {"enabled": True, "backup": True, "regen_initramfs": True},
        "convert": {"enabled": True, "compress": True},
        "validate": {"enabled": True, "check_image_integrity": True},
    },
    "output": {"directory": "/work/export", "format": "qcow2"},
    "metadata": {
        "hypersdk_version": "0.1.0",
        "job_id": "vm-1234",
        "tags": {
            "provider": "vsphere",
            "export_format": "ovf",
            "vcenter_url": "https://vcenter.example.com",
        },
    },
    "notes": ["Exported from vSphere"],
}


@pytest.fixture
def document() -> dict[str, Any]:
    """The contract's own example, with a second disk."""
    return copy.deepcopy(_DOCUMENT)
