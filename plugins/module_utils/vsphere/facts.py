# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What vCenter knows of a VM, in the terms that the export and the manifest need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .guest_network import GuestNetwork, guest_networks
from .inventory import path_of, read, unescape

try:
    from pyVmomi import vim
except ImportError:
    pass  # connection.py tells

_PATHS = (
    "name",
    "config.uuid",
    "config.instanceUuid",
    "config.changeVersion",
    "config.template",
    "config.firmware",
    "config.bootOptions",
    "config.guestId",
    "config.guestFullName",
    "config.hardware.numCPU",
    "config.hardware.memoryMB",
    "config.hardware.device",
    "layoutEx",
    "guest.toolsRunningStatus",
    "guest.net",
    "guest.ipStack",
    "runtime.powerState",
    "runtime.host",
)


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
class Vm:
    """A VM as vCenter describes it."""

    name: str
    moid: str
    uuid: str
    instance_uuid: str
    datacenter: str
    folder: str
    host: str
    cpu: int
    memory_mb: int
    firmware: str
    secure_boot: bool
    guest_id: str
    guest_full_name: str
    power_state: str
    tools_running: bool
    template: bool
    change_version: str
    disks: tuple[Disk, ...]
    nics: tuple[Nic, ...]

    def with_guest_networks(self, seen: Mapping[str, GuestNetwork]) -> Vm:
        """Return the VM with what was seen of its NICs at another time, and nothing else of them.

        Args:
            seen: By the NICs' MAC addresses in lowercase.
        """
        nics = (replace(nic, guest=seen.get(nic.mac, GuestNetwork())) for nic in self.nics)
        return replace(self, nics=tuple(nics))

    def guest_networks(self) -> dict[str, GuestNetwork]:
        """Return what is known of the guest's network, by the NICs' MAC addresses."""
        return {nic.mac: nic.guest for nic in self.nics if nic.guest != GuestNetwork()}


def read_vm(instance: Any, vm: Any, snapshot: Any = None) -> Vm:
    """Return what vCenter knows of a VM.

    Args:
        instance: The vim.ServiceInstance.
        vm: The vim.VirtualMachine.
        snapshot: A vim.vm.Snapshot, for the configuration that it holds rather than today's.
    """
    properties = read(instance, vm, _PATHS)
    if snapshot is not None:
        properties.update(read(instance, snapshot, [p for p in _PATHS if p.startswith("config.")]))
    datacenter, folder = path_of(instance, vm)
    host = properties.get("runtime.host")
    host_name = read(instance, host, ["name"]).get("name", "") if host else ""
    devices = properties.get("config.hardware.device", ())
    boot = properties.get("config.bootOptions")
    # "efi" is vSphere's word; the manifest's, and everybody else's, is "uefi".
    firmware = "uefi" if properties.get("config.firmware") == "efi" else "bios"
    return Vm(
        name=unescape(properties.get("name", "")),
        moid=vm._moId,
        uuid=properties.get("config.uuid", ""),
        instance_uuid=properties.get("config.instanceUuid", ""),
        datacenter=datacenter,
        folder=folder,
        host=host_name,
        cpu=properties.get("config.hardware.numCPU", 1),
        memory_mb=properties.get("config.hardware.memoryMB", 1),
        firmware=firmware,
        secure_boot=bool(getattr(boot, "efiSecureBootEnabled", False)),
        guest_id=properties.get("config.guestId", ""),
        guest_full_name=properties.get("config.guestFullName", ""),
        power_state=str(properties.get("runtime.powerState", "")),
        tools_running=properties.get("guest.toolsRunningStatus") == "guestToolsRunning",
        template=bool(properties.get("config.template", False)),
        change_version=properties.get("config.changeVersion", ""),
        disks=_disks(
            devices, getattr(boot, "bootOrder", None) or (), _used(properties.get("layoutEx"))
        ),
        nics=_nics(
            instance,
            devices,
            guest_networks(properties.get("guest.net", ()), properties.get("guest.ipStack", ())),
        ),
    )


def _used(layout: Any) -> dict[int, int]:
    """Return the bytes that each disk's files take, by the disk's key."""
    if layout is None:
        return {}
    sizes = {file.key: file.size or 0 for file in layout.file or ()}
    return {
        disk.key: sum(sizes.get(key, 0) for link in disk.chain or () for key in link.fileKey or ())
        for disk in layout.disk or ()
    }


def _disks(
    devices: Iterable[Any], boot_order: Iterable[Any], used: Mapping[int, int]
) -> tuple[Disk, ...]:
    """Return the disks in the order in which the firmware tries them.

    The VM's own boot order comes first; then, as VMware's BIOS does, by controller and unit.
    """
    by_key = {device.key: device for device in devices}
    explicit = [
        entry.deviceKey
        for entry in boot_order
        if isinstance(entry, vim.vm.BootOptions.BootableDiskDevice)
    ]
    disks = []
    for device in devices:
        if not isinstance(device, vim.vm.device.VirtualDisk):
            continue
        controller = by_key.get(device.controllerKey)
        backing = device.backing
        datastore = getattr(backing, "fileName", "") or ""
        capacity = device.capacityInBytes or device.capacityInKB * 1024
        disks.append(
            Disk(
                key=device.key,
                label=getattr(device.deviceInfo, "label", "") or f"disk {device.key}",
                capacity=capacity,
                controller=_kind(controller),
                bus_number=getattr(controller, "busNumber", 0) or 0,
                unit_number=device.unitNumber or 0,
                content_id=getattr(backing, "contentId", "") or "",
                datastore=datastore.partition("]")[0].lstrip("["),
                used=min(capacity, used.get(device.key) or capacity),
            )
        )

    def rank(disk: Disk) -> tuple[int, int, int, int]:
        position = explicit.index(disk.key) if disk.key in explicit else len(explicit)
        bus = _BUS_ORDER.get(disk.controller, 0)
        return position, bus, disk.bus_number, disk.unit_number

    return tuple(sorted(disks, key=rank))


def _nics(
    instance: Any, devices: Iterable[Any], seen: Mapping[str, GuestNetwork]
) -> tuple[Nic, ...]:
    nics = []
    for device in devices:
        if not isinstance(device, vim.vm.device.VirtualEthernetCard):
            continue
        mac = (device.macAddress or "").lower()
        nics.append(
            Nic(
                label=getattr(device.deviceInfo, "label", "") or f"adapter {device.key}",
                mac=mac,
                network=_network(instance, device.backing),
                adapter_type=_kind(device),
                pci_slot=getattr(device.slotInfo, "pciSlotNumber", None),
                guest=seen.get(mac, GuestNetwork()),
            )
        )
    return tuple(nics)


def _network(instance: Any, backing: Any) -> str:
    name = getattr(backing, "deviceName", None)
    if name:
        return unescape(str(name))
    port = getattr(backing, "port", None)
    if port is None:
        return ""
    portgroup = vim.dvs.DistributedVirtualPortgroup(port.portgroupKey, instance._stub)
    return unescape(read(instance, portgroup, ["name"]).get("name", ""))


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
