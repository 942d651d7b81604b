# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read an OVF descriptor (DMTF DSP0243 1.x and 2.x) as its products write it.

VMware, VirtualBox and oVirt agree on the standard's core and differ in where
they put firmware, MAC addresses and the boot disk; each is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .findings import ManifestError
from .guest_ids import UNKNOWN, hint_of_cim, hint_of_words, os_hint
from .model import Nic
from .ovf_devices import (
    Item,
    controller_label,
    disks_in_order,
    integer,
    items_of,
    quantity,
    removable_in,
)
from .xml_tree import Element, parse_xml

#: oVirt writes the number of its VmInterfaceType where others have a name.
_OVIRT_ADAPTERS = {"1": "rtl8139", "2": "e1000", "3": "virtio", "4": "spapr-vlan", "6": "e1000e"}


@dataclass(frozen=True)
class OvfFile:
    """A file of the References section; size in bytes, None where the descriptor doesn't say."""

    id: str
    href: str
    size: int | None
    compression: str
    chunked: bool


@dataclass(frozen=True)
class OvfDisk:
    """A disk with its file (None for an empty disk) and its place in the VM.

    The capacity is in bytes, and the descriptor may have rounded it to capacity_unit bytes.
    """

    id: str
    file: OvfFile | None
    capacity: int | None
    capacity_unit: int
    label: str
    controller: str
    unit_number: int | None
    boots: bool

    def agrees_with(self, capacity: int) -> bool:
        """Whether a disk of this capacity is what the descriptor means: oVirt's whole GiB hide the rest."""
        return self.capacity is None or abs(self.capacity - capacity) < self.capacity_unit


@dataclass(frozen=True)
class Descriptor:
    """What a descriptor says of one VM; memory in MiB."""

    name: str
    id: str
    product: str
    cpu: int | None
    memory_mb: int | None
    firmware: str
    secure_boot: bool | None
    os_hint: str
    os_version: str
    disks: tuple[OvfDisk, ...]
    nics: tuple[Nic, ...]
    files: tuple[OvfFile, ...]
    boot_disk_known: bool


def parse_descriptor(raw: bytes, name: str) -> Descriptor:
    """Return what the descriptor says; name names it in errors.

    Raises:
        ManifestError: It is no OVF descriptor, or describes no VM or several.
    """
    envelope = parse_xml(raw, name)
    if envelope.name != "Envelope":
        raise ManifestError(
            f"{name} is not an OVF descriptor: its root is {envelope.name}, not Envelope.",
            action="Name the .ovf file.",
        )
    system = _only_system(envelope, name)
    hardware = _section(system, "VirtualHardwareSection")
    items = items_of(hardware) if hardware else []
    files = tuple(_files(envelope))
    operating_system = _section(system, "OperatingSystemSection") or Element("", {})
    machine = system.first("Machine") or Element("", {})
    product = _product(envelope, system, machine)
    disks, known = _disks(envelope, system, items, files, product)
    firmware, secure_boot = _firmware(system, hardware, machine)
    hint, version = _operating_system(operating_system, system)
    return Descriptor(
        name=system.value("Name") or machine.get("name") or system.get("id"),
        id=system.get("id"),
        product=product,
        cpu=next((integer(item.quantity) for item in items if item.kind == 3), None),
        memory_mb=next((_mib(item) for item in items if item.kind == 4), None),
        firmware=firmware,
        secure_boot=secure_boot,
        os_hint=hint,
        os_version=version,
        disks=disks,
        nics=_nics(items, machine),
        files=files,
        boot_disk_known=known,
    )


def _only_system(envelope: Element, name: str) -> Element:
    systems = [*envelope.all("VirtualSystem", "Content")]
    for collection in envelope.all("VirtualSystemCollection"):
        systems += collection.all("VirtualSystem")
    if len(systems) != 1:
        raise ManifestError(
            f"{name} describes {len(systems) or 'no'} virtual machines, and a manifest is about one.",
            action="Export each VM by itself.",
        )
    return systems[0]


def _section(holder: Element, name: str) -> Element | None:
    """Return a section by its name; oVirt writes <Section xsi:type="ovf:NAME_Type">."""
    for child in holder.children:
        if child.name == name or (
            child.name == "Section" and child.get("type").endswith(f"{name}_Type")
        ):
            return child
    return None


def _files(envelope: Element) -> Iterator[OvfFile]:
    references = envelope.first("References") or Element("", {})
    for file in references.all("File"):
        yield OvfFile(
            id=file.get("id"),
            href=file.get("href"),
            size=integer(file.get("size")),
            compression=file.get("compression"),
            chunked=bool(file.get("chunkSize")),
        )


def _disks(
    envelope: Element, system: Element, items: list[Item], files: tuple[OvfFile, ...], product: str
) -> tuple[tuple[OvfDisk, ...], bool]:
    """Return the disks in the order of their controllers, and whether the descriptor says which one boots."""
    section = _section(envelope, "DiskSection") or Element("", {})
    declared = {disk.get("diskId"): disk for disk in section.all("Disk")}
    by_id = {file.id: file for file in files}
    by_href = {file.href: file for file in files}
    for drive in removable_in(items):
        disk_id, _file = _backing(drive, declared, by_id, by_href)
        declared.pop(disk_id, None)
    first_boot = _boot_instance(system)
    found: list[OvfDisk] = []
    for item in disks_in_order(items, product):
        disk_id, file = _backing(item, declared, by_id, by_href)
        disk = declared.pop(disk_id, None) or Element("", {})
        reference = disk.get("fileRef")
        found.append(
            OvfDisk(
                id=disk_id,
                file=file or by_id.get(reference) or by_href.get(reference),
                **_capacity(disk),
                label=item.name,
                # oVirt has no items for controllers.
                controller=controller_label(item, items) or disk.get("disk-interface"),
                unit_number=integer(item.address_on_parent),
                boots=(bool(first_boot) and item.instance == first_boot)
                or disk.get("boot").lower() == "true"
                or item.boot_order == "1",
            )
        )
    # Disks that no device names, as in descriptors without a hardware section.
    for disk_id, disk in declared.items():
        if _is_cd(disk):
            continue
        reference = disk.get("fileRef")
        found.append(
            OvfDisk(
                id=disk_id,
                file=by_id.get(reference) or by_href.get(reference),
                **_capacity(disk),
                label="",
                controller="",
                unit_number=None,
                boots=disk.get("boot").lower() == "true",
            )
        )
    return tuple(found), any(disk.boots for disk in found)


def _is_cd(disk: Element) -> bool:
    # VirtualBox lists the image in a CD drive among the disks; ECMA-119 is ISO 9660.
    return "ecma-119" in disk.get("format").lower()


def _backing(
    item: Item, declared: dict[str, Element], by_id: dict[str, OvfFile], by_href: dict[str, OvfFile]
) -> tuple[str, OvfFile | None]:
    """Return the disk id, or the file, that a device's HostResource names: ovf:/disk/X, /disk/X, ovf:/file/X."""
    match = re.match(r"^(?:ovf:)?/(disk|file)/(.+)$", item.host_resource)
    if match and match.group(1) == "file":
        return "", by_id.get(match.group(2))
    name = match.group(2) if match else item.host_resource
    if name in declared:
        return name, None
    # oVirt: HostResource is the file's path, the device's instance the disk's id.
    if item.instance in declared:
        return item.instance, by_href.get(name)
    for disk_id, disk in declared.items():
        if disk.get("fileRef") == name:
            return disk_id, None
    return name, by_href.get(name)


def _boot_instance(system: Element) -> str:
    """Return the instance of the disk that VMware's vmw:BootOrderSection names first, or ""."""
    for section in system.all("BootOrderSection"):
        if section.get("type") in ("", "disk"):
            return section.get("instanceId")
    return ""


def _capacity(disk: Element) -> dict[str, Any]:
    """Return OvfDisk's capacity and capacity_unit of a Disk."""
    capacity, unit = integer(disk.get("capacity")), quantity(disk.get("capacityAllocationUnits"))
    if capacity is None:
        # oVirt's own descriptor: ovf:size is the capacity in GiB.
        capacity, unit = integer(disk.get("size")), 2**30
    return {
        "capacity": None if capacity is None else capacity * unit,
        "capacity_unit": unit,
    }


def _firmware(
    system: Element, hardware: Element | None, machine: Element
) -> tuple[str, bool | None]:
    secure: bool | None = None
    firmware = ""
    for config in hardware.all("Config") if hardware else ():
        key, value = config.get("key"), config.get("value").lower()
        if key == "firmware":
            firmware = {"efi": "uefi", "bios": "bios"}.get(value, "unknown")
        elif key in ("bootOptions.efiSecureBootEnabled", "uefi.secureBoot.enabled"):
            secure = value == "true"
    box = machine.first("Hardware", "Firmware") or machine.first("Firmware")
    if box is not None:
        firmware = "uefi" if box.get("type").upper().startswith("EFI") else "bios"
    # oVirt's BiosType: 1 and 2 are SeaBIOS, 3 OVMF, 4 OVMF with Secure Boot.
    bios_type = system.value("BiosType")
    if bios_type in ("1", "2"):
        firmware = "bios"
    elif bios_type in ("3", "4"):
        firmware, secure = "uefi", bios_type == "4"
    # VMware and VirtualBox write firmware only where it isn't their default.
    return firmware or ("" if bios_type else "bios"), secure


def _operating_system(section: Element, system: Element) -> tuple[str, str]:
    vmware = section.get("osType")
    if vmware:
        return os_hint(vmware), vmware
    # VirtualBox: <vbox:OSType> beside the standard's description.
    described = section.value("OSType") or section.value("Description") or system.value("OsId")
    hint = hint_of_words(described)
    if hint == UNKNOWN:
        hint = hint_of_cim(integer(section.get("id")) or 0)
    return hint, described


def _product(envelope: Element, system: Element, machine: Element) -> str:
    hardware = _section(system, "VirtualHardwareSection")
    kind = hardware.value("System", "VirtualSystemType") if hardware else ""
    if machine.name == "Machine" or kind.startswith("virtualbox"):
        return "VirtualBox"
    if (
        system.name == "Content"
        or system.first("BiosType")
        or system.first("ClusterCompatibilityVersion")
    ):
        return "oVirt"
    return "VMware" if kind.startswith("vmx") or "buildId" in envelope.attributes else ""


def _mib(item: Item) -> int | None:
    amount = integer(item.quantity)
    # The standard's default is bytes; those who leave the unit out mean MiB.
    units = quantity(item.units) if item.units else 2**20
    return max(1, -(-amount * units // 2**20)) if amount is not None else None


def _nics(items: list[Item], machine: Element) -> tuple[Nic, ...]:
    adapters = machine.first("Hardware", "Network") or Element("", {})
    macs = [
        ":".join(re.findall("..", adapter.get("MACAddress")))
        for adapter in adapters.all("Adapter")
        if adapter.get("enabled") == "true"
    ]
    found = []
    for index, item in enumerate(item for item in items if item.kind == 10):
        mac = item.mac or (macs[index] if index < len(macs) else "")
        found.append(
            Nic(
                mac=mac if re.fullmatch(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}", mac) else "",
                network=item.connection,
                label=item.name,
                adapter_type=_OVIRT_ADAPTERS.get(item.subtype, item.subtype.lower()),
                pci_slot=integer(item.pci_slot),
            )
        )
    return tuple(found)
