# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of a VM and its disks, wherever it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Disk:
    """One disk in one file.

    Attributes:
        path: Absolute path of the file.
        size: Size of the file in bytes.
        source_format: One of schema.SOURCE_FORMATS, by content.
        id: Name within the manifest, or "" to have disk-N.
        capacity: What the guest sees, in bytes, where it is known.
        checksum: "sha256:" and 64 hexadecimal digits, where it is known.
        boots: Whether the VM boots from it; None when the source doesn't say.
        boot_order: Place in the boot order, where the source says it.
        label: Name for people.
        controller: Controller that it hung on.
        unit_number: Its number on the controller.
    """

    path: Path
    size: int
    source_format: str
    id: str = ""
    capacity: int | None = None
    checksum: str | None = None
    boots: bool | None = None
    boot_order: int | None = None
    label: str = ""
    controller: str = ""
    unit_number: int | None = None


@dataclass(frozen=True)
class Nic:
    """One network interface, as far as its source describes it; ip_config as schema.IP_CONFIG says."""

    mac: str = ""
    network: str = ""
    label: str = ""
    adapter_type: str = ""
    pci_slot: int | None = None
    addresses: tuple[str, ...] = ()
    ip_config: tuple[Mapping[str, Any], ...] = ()
    gateways: tuple[str, ...] = ()
    dns_servers: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()


@dataclass(frozen=True)
class Machine:
    """The VM's hardware; memory in MiB, firmware as the manifest says it."""

    name: str = ""
    id: str = ""
    cpu: int | None = None
    memory_mb: int | None = None
    firmware: str = ""
    secure_boot: bool | None = None
    os_hint: str = "unknown"
    os_version: str = ""
    nics: tuple[Nic, ...] = ()


@dataclass(frozen=True)
class Artifacts:
    """Everything that one source yields.

    Attributes:
        provider: Where the disks came from, such as vsphere or local.
        export_method: How they were obtained.
        export_format: ovf, ova or disks.
        directory: Directory of the VM; the output goes to out/ in it.
        machine: The VM.
        disks: Its disks, in the source's order.
        datacenter: Datacenter or region.
        facts: The provider's own facts, by the names of schema.PROVIDER_FACTS.
        tags: Tags for metadata.tags.
        notes: Notes for people.
        warnings: What the source made us doubt.
    """

    provider: str
    export_method: str
    export_format: str
    directory: Path
    machine: Machine
    disks: tuple[Disk, ...]
    datacenter: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
