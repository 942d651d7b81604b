# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The domain that a manifest and the user's options ask for."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .errors import DomainError
from .identity import machine_uuid
from .networks import Nic, mapped_nics

IN_PLACE = "in_place"
MOVE = "move"
COPY = "copy"
PLACEMENTS = (IN_PLACE, MOVE, COPY)

DISK_BUSES = ("virtio", "scsi", "sata")
VIRT_TYPES = ("kvm", "qemu")

_DEFAULT_MEMORY_MB = 1024
# libvirt takes no slash and no line end in a name; the rest is for file names made of it.
_UNWANTED_IN_NAME = re.compile(r"[/\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Request:
    """What is asked for, all of it decided.

    Attributes:
        name: The domain's name.
        uuid: Its UUID, which the guest sees as its SMBIOS UUID.
        directory: The VM's directory, which marks the domain as this VM's.
        source: Where the VM came from, in words, for people who look at the domain.
        guest_id: vSphere's identifier of the operating system.
        osinfo: libosinfo's name for it; empty to find it by guest_id.
        firmware: bios or uefi.
        secure_boot: Whether UEFI checks signatures.
        tpm: Whether there is a virtual TPM 2.0.
        cpus: Number of virtual CPUs.
        memory_mb: Memory in MiB.
        cpu_model: As virt-install's --cpu takes it; empty for its default.
        disk_bus: virtio, scsi or sata.
        nics: The NICs, in the order in which they are attached.
        placement: in_place, move or copy.
        pool: The storage pool for move and copy.
        virt_type: kvm or qemu; empty for kvm where it works.
    """

    name: str
    uuid: str
    directory: Path
    source: str
    guest_id: str
    osinfo: str
    firmware: str
    secure_boot: bool
    tpm: bool
    cpus: int
    memory_mb: int
    cpu_model: str
    disk_bus: str
    nics: tuple[Nic, ...]
    placement: str
    pool: str
    virt_type: str

    def fingerprint(self) -> str:
        """Return a digest of the request: the same means that nothing has to change."""
        text = json.dumps(asdict(self), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def request_of(
    document: Mapping[str, Any],
    directory: Path,
    options: Mapping[str, Any],
    converted: Mapping[str, Any],
) -> Request:
    """Return the domain for a manifest; an option that is given wins over the manifest.

    Args:
        document: The manifest.
        directory: The VM's directory.
        options: The module's.
        converted: What the conversion recorded of the guest's network.

    Raises:
        DomainError: The manifest and the options don't make a domain.
    """
    vm: Mapping[str, Any] = document.get("vm", {})
    source: Mapping[str, Any] = document.get("source", {})
    name = options["name"] or source.get("vm_name") or directory.name
    if _UNWANTED_IN_NAME.search(name):
        raise DomainError(
            f"libvirt takes no domain of the name {name!r}.",
            action="Give it a name without a slash and control characters.",
        )
    firmware = options["firmware"] or vm.get("firmware", "bios")
    firmware = "uefi" if firmware == "uefi" else "bios"
    secure_boot = _first(options["secure_boot"], vm.get("secureboot"), False)
    if secure_boot and firmware != "uefi":
        raise DomainError(
            "Secure Boot is asked for, and the VM has a BIOS.",
            action="Leave secure_boot out, or set firmware to uefi.",
        )
    if options["placement"] != IN_PLACE and not options["pool"]:
        raise DomainError(f"{options['placement']} needs the name of a storage pool.")
    uuid = machine_uuid(document, options["uuid"] or "", name)
    return Request(
        name=name,
        uuid=uuid,
        directory=directory,
        source=_described(source),
        guest_id=str(vm.get("os_version") or vm.get("os_hint") or ""),
        osinfo=options["osinfo"] or "",
        firmware=firmware,
        secure_boot=bool(secure_boot),
        tpm=bool(options["tpm"]),
        cpus=int(options["cpus"] or vm.get("cpu") or 1),
        memory_mb=int(options["memory_mb"] or _described_memory(vm)),
        cpu_model=options["cpu_model"] or "",
        disk_bus=options["disk_bus"],
        nics=mapped_nics(
            document,
            options["network_map"],
            mac_policy=options["mac_policy"],
            uuid=uuid,
            converted=converted,
        ),
        placement=options["placement"],
        pool="" if options["placement"] == IN_PLACE else options["pool"],
        virt_type=options["virt_type"] or "",
    )


def _described_memory(vm: Mapping[str, Any]) -> int:
    exact = vm.get("memory_mb")
    if exact:
        return int(exact)
    return int(vm["mem_gb"]) * 1024 if vm.get("mem_gb") else _DEFAULT_MEMORY_MB


def _described(source: Mapping[str, Any]) -> str:
    words = [str(source.get(key) or "") for key in ("provider", "datacenter", "vm_name", "vm_id")]
    return " ".join(word for word in words if word)


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
