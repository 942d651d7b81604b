# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests for the tests of this room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.request import (
    Request,
    request_of,
)

DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(("name", "uuid", "firmware", "secure_boot", "cpus", "memory_mb")),
    **dict.fromkeys(("cpu_model", "osinfo", "virt_type", "pool")),
    "placement": "in_place",
    "tpm": False,
    "disk_bus": "virtio",
    "network_map": {"*": "lan"},
    "mac_policy": "keep",
}
DOCUMENT: dict[str, Any] = {
    "source": {"provider": "vsphere", "vm_id": "vm-1", "vm_name": "web01", "datacenter": "DC0"},
    "vm": {"cpu": 4, "mem_gb": 3, "firmware": "uefi", "secureboot": True},
}


def request(document: dict[str, Any] | None = None, **options: Any) -> Request:
    return request_of(document or DOCUMENT, Path("/srv/web01"), {**DEFAULTS, **options}, {})
