# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The devices of an OVF's VirtualHardwareSection, and the order of its disks."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .xml_tree import Element

#: CIM_ResourceAllocationSettingData.ResourceType of what disks hang on.
_CONTROLLERS = {5: "ide", 6: "scsi", 20: "sata"}
_DISK = 17
#: Drives that hold a medium which is no disk of the VM: CD, DVD and floppy.
_REMOVABLE = (14, 15, 16)
#: Where nothing else is said VMware's firmware tries SCSI disks first, then SATA and NVMe, then IDE;
#: VirtualBox's BIOS looks for them the other way round.
_TRIED = {"VirtualBox": (5, 20, 6)}
_TRIED_BY_DEFAULT = (6, 20, 5)


@dataclass(frozen=True)
class Item:
    """One device: a rasd:Item, or OVF 2.0's StorageItem or EthernetPortItem."""

    kind: int
    instance: str
    name: str
    subtype: str
    parent: str
    address: str
    address_on_parent: str
    host_resource: str
    quantity: str
    units: str
    connection: str
    mac: str
    pci_slot: str
    boot_order: str


def items_of(hardware: Element) -> list[Item]:
    """Return the devices in the descriptor's order."""
    return [_item(element) for element in hardware.all("Item", "StorageItem", "EthernetPortItem")]


def removable_in(items: list[Item]) -> list[Item]:
    """Return the drives whose medium is no disk of the VM."""
    return [item for item in items if item.kind in _REMOVABLE]


def disks_in_order(items: list[Item], product: str) -> list[Item]:
    """Return the hard disks by controller and unit: the first one is what firmware boots from by default.

    Controllers go by kind, as the product's firmware tries them, by bus number,
    then as the descriptor has them.
    """
    tried = _TRIED.get(product, _TRIED_BY_DEFAULT)
    controllers = {
        item.instance: (tried.index(item.kind), integer(item.address) or 0, index)
        for index, item in enumerate(items)
        if item.kind in _CONTROLLERS
    }
    last = (len(tried), 0, 0)
    return sorted(
        (item for item in items if item.kind == _DISK),
        key=lambda item: (
            controllers.get(item.parent, last),
            integer(item.address_on_parent) or 0,
        ),
    )


def controller_label(disk: Item, items: list[Item]) -> str:
    """Return the disk's controller as scsi0, with its kind and bus number, or ""."""
    for item in items:
        if item.instance == disk.parent and item.kind in _CONTROLLERS:
            kind = _CONTROLLERS[item.kind]
            if item.kind == 20 and "nvme" in item.subtype.lower():
                kind = "nvme"
            return f"{kind}{integer(item.address) or 0}"
    return ""


def quantity(units: str) -> int:
    """Return the bytes of one unit, as DSP0004's "byte * 2^20" or as older descriptors' MegaBytes."""
    words = units.lower().replace(" ", "")
    power = re.fullmatch(r"bytes?\*(2|10)\^(\d{1,2})", words)
    if power:
        base, exponent = int(power.group(1)), int(power.group(2))
        return pow(base, exponent, 10**30)
    for prefix, shift in (("kilo", 10), ("mega", 20), ("giga", 30), ("tera", 40)):
        if words.startswith(prefix) or words in (f"{prefix[0]}b", f"{prefix[0]}ib"):
            return 1 << shift
    return 1


def integer(words: str) -> int | None:
    """Return a whole number that isn't negative, or None: a descriptor may hold ${a.property} instead."""
    return int(words) if re.fullmatch(r"[0-9]{1,20}", words.strip()) else None


def _item(element: Element) -> Item:
    configs = {config.get("key"): config.get("value") for config in element.all("Config")}
    return Item(
        kind=integer(element.value("ResourceType")) or 0,
        instance=element.value("InstanceID") or element.value("InstanceId"),
        name=element.value("ElementName") or element.value("Caption") or element.value("Name"),
        subtype=element.value("ResourceSubType"),
        parent=element.value("Parent"),
        address=element.value("Address"),
        address_on_parent=element.value("AddressOnParent"),
        host_resource=element.value("HostResource"),
        # oVirt gives processors by what they are made of.
        quantity=element.value("VirtualQuantity") or _processors(element),
        units=element.value("AllocationUnits"),
        connection=element.value("Connection"),
        mac=element.value("MACAddress") or element.value("Address"),
        pci_slot=configs.get("slotInfo.pciSlotNumber", ""),
        boot_order=element.value("BootOrder"),
    )


def _processors(element: Element) -> str:
    sockets, cores = (
        integer(element.value("num_of_sockets")),
        integer(element.value("cpu_per_socket")),
    )
    threads = integer(element.value("threads_per_cpu")) or 1
    return str(sockets * cores * threads) if sockets and cores else ""
