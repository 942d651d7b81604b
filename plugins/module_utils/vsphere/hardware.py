# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A VM's virtual devices, in the terms that the export and the manifest need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .guest_network import GuestNetwork
from .inventory import unescape

try:
    from pyVmomi import vim
except ImportError:
    pass  # connection.py tells


@dataclass(frozen=True)
class Disk:
    """A virtual disk of the VM; sizes in bytes."""

    key: int
    label: str
    capacity: int
    controller: str
    bus_number: int
    unit_number: int
    content_id: str
    datastore: str
    used: int
    """How much of it takes room on the datastore: less than the capacity when it is thin."""
    file: str = ""
    """Its file as vSphere writes it, with the datastore in brackets."""
    mode: str = "persistent"
    """vSphere's diskMode; independent_… is left out of snapshots."""
    raw_mapping: str = ""
    """virtual or physical for a raw device mapping in that mode, "" for a file."""
    shared: bool = False
    """Whether other VMs may write it too."""
    encrypted: bool = False

    @property
    def address(self) -> tuple[str, int, int]:
        """Return controller, bus and unit: what a lease's device key ends in."""
        return self.controller, self.bus_number, self.unit_number


@dataclass(frozen=True)
class Nic:
    """A network adapter of the VM. A PCI slot of 192 is why Linux calls it ens192."""

    label: str
    mac: str
    network: str
    adapter_type: str
    pci_slot: int | None
    guest: GuestNetwork = field(default_factory=GuestNetwork)
    """What the guest was seen to have on it."""


@dataclass(frozen=True)
class Cdrom:
    """A CD drive with an image in it."""

    label: str
    image: str
    """Its file as vSphere writes it, with the datastore in brackets."""


def disks_of(
    devices: Iterable[Any], boot_order: Iterable[Any], used: Mapping[int, int]
) -> tuple[Disk, ...]:
    """Return the disks in the order in which the firmware tries them.

    The VM's own boot order comes first; then, as VMware's BIOS does, by controller and unit.

    Args:
        devices: config.hardware.device.
        boot_order: config.bootOptions.bootOrder.
        used: Bytes on the datastore by the disks' keys.
    """
    by_key = {device.key: device for device in devices}
    explicit = [
        entry.deviceKey
        for entry in boot_order
        if isinstance(entry, vim.vm.BootOptions.BootableDiskDevice)
    ]
    disks = [
        _disk(device, by_key.get(device.controllerKey), used.get(device.key))
        for device in by_key.values()
        if isinstance(device, vim.vm.device.VirtualDisk)
    ]

    def rank(disk: Disk) -> tuple[int, int, int, int]:
        position = explicit.index(disk.key) if disk.key in explicit else len(explicit)
        bus = _BUS_ORDER.get(disk.controller, 0)
        return position, bus, disk.bus_number, disk.unit_number

    return tuple(sorted(disks, key=rank))


def _disk(device: Any, controller: Any, used: int | None) -> Disk:
    backing = device.backing
    file = getattr(backing, "fileName", "") or ""
    capacity = device.capacityInBytes or device.capacityInKB * 1024
    mapping = isinstance(backing, vim.vm.device.VirtualDisk.RawDiskMappingVer1BackingInfo)
    bus_sharing = str(getattr(controller, "sharedBus", None) or _NOT_SHARED_BUS)
    sharing = str(getattr(backing, "sharing", None) or _NOT_SHARED)
    return Disk(
        key=device.key,
        label=getattr(device.deviceInfo, "label", "") or f"disk {device.key}",
        capacity=capacity,
        controller=_kind(controller),
        bus_number=getattr(controller, "busNumber", 0) or 0,
        unit_number=device.unitNumber or 0,
        content_id=getattr(backing, "contentId", "") or "",
        datastore=file.partition("]")[0].lstrip("["),
        used=min(capacity, used or capacity),
        file=file,
        mode=str(getattr(backing, "diskMode", None) or "persistent"),
        raw_mapping=_mapping_mode(backing) if mapping else "",
        shared=bus_sharing != _NOT_SHARED_BUS or sharing != _NOT_SHARED,
        encrypted=getattr(backing, "keyId", None) is not None,
    )


def _mapping_mode(backing: Any) -> str:
    return "virtual" if backing.compatibilityMode == "virtualMode" else "physical"


def nics_of(
    devices: Iterable[Any], portgroup_name: Callable[[str], str], seen: Mapping[str, GuestNetwork]
) -> tuple[Nic, ...]:
    """Return the network adapters.

    Args:
        devices: config.hardware.device.
        portgroup_name: Tells the name of a distributed port group by its key.
        seen: What the guest has on them, by MAC address.
    """
    nics = []
    for device in _cards(devices):
        mac = (device.macAddress or "").lower()
        name = getattr(device.backing, "deviceName", None)
        key = _portgroup_key(device)
        nics.append(
            Nic(
                label=getattr(device.deviceInfo, "label", "") or f"adapter {device.key}",
                mac=mac,
                network=unescape(str(name)) if name else portgroup_name(key) if key else "",
                adapter_type=_kind(device),
                pci_slot=getattr(device.slotInfo, "pciSlotNumber", None),
                guest=seen.get(mac, GuestNetwork()),
            )
        )
    return tuple(nics)


def portgroup_keys(devices: Iterable[Any]) -> Iterator[str]:
    """Yield the keys of the distributed port groups that adapters are on."""
    yield from filter(None, map(_portgroup_key, _cards(devices)))


def cdroms_of(devices: Iterable[Any]) -> tuple[Cdrom, ...]:
    """Return the CD drives that hold an image."""
    return tuple(
        Cdrom(getattr(device.deviceInfo, "label", "") or "CD drive", device.backing.fileName or "")
        for device in devices
        if isinstance(device, vim.vm.device.VirtualCdrom)
        and isinstance(device.backing, vim.vm.device.VirtualCdrom.IsoBackingInfo)
    )


def host_devices_of(devices: Iterable[Any]) -> tuple[str, ...]:
    """Return the labels of what belongs to the ESXi host: PCI devices, USB devices, SR-IOV."""
    kinds = (
        vim.vm.device.VirtualPCIPassthrough,
        vim.vm.device.VirtualUSB,
        vim.vm.device.VirtualSriovEthernetCard,
    )
    return tuple(
        getattr(device.deviceInfo, "label", "") or _kind(device)
        for device in devices
        if isinstance(device, kinds)
    )


def has_tpm(devices: Iterable[Any]) -> bool:
    """Tell whether there is a virtual TPM."""
    return any(isinstance(device, vim.vm.device.VirtualTPM) for device in devices)


def _cards(devices: Iterable[Any]) -> Iterator[Any]:
    card = vim.vm.device.VirtualEthernetCard
    return (device for device in devices if isinstance(device, card))


def _portgroup_key(card: Any) -> str:
    port = getattr(card.backing, "port", None)
    return str(port.portgroupKey or "") if port is not None else ""


_NOT_SHARED = "sharingNone"
_NOT_SHARED_BUS = "noSharing"

# Where no boot order is set VMware's firmware tries SCSI disks first, then these.
_BUS_ORDER: Mapping[str, int] = {"sata": 1, "nvme": 2, "ide": 3}

_KINDS: Mapping[str, str] = {
    "ParaVirtualSCSIController": "pvscsi",
    "VirtualLsiLogicController": "lsilogic",
    "VirtualLsiLogicSASController": "lsisas",
    "VirtualBusLogicController": "buslogic",
    "VirtualAHCIController": "sata",
    "VirtualNVMEController": "nvme",
    "VirtualIDEController": "ide",
    "VirtualVmxnet3": "vmxnet3",
    "VirtualVmxnet2": "vmxnet2",
    "VirtualVmxnet": "vmxnet",
    "VirtualE1000": "e1000",
    "VirtualE1000e": "e1000e",
    "VirtualPCNet32": "pcnet32",
    "VirtualSriovEthernetCard": "sriov",
}


def controller_kind(type_name: str) -> str:
    """Return the short name of a controller, as a .vmx writes it, from its type's name."""
    return _KINDS.get(type_name, type_name)


def _kind(device: Any) -> str:
    return controller_kind(type(device).__name__.rpartition(".")[2])
