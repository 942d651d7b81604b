# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What vCenter knows of a VM, in the terms that the export and the manifest need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .entities import Entities, parent_of, read_entities
from .guest_network import GuestNetwork, guest_networks
from .hardware import (
    Cdrom,
    Disk,
    Nic,
    cdroms_of,
    disks_of,
    has_tpm,
    host_devices_of,
    nics_of,
    portgroup_keys,
)
from .inventory import read, read_each, unescape
from .snapshot_tree import Snapshot, snapshots_of

try:
    from pyVmomi import vim
except ImportError:
    pass  # connection.py tells

_PATHS = (
    "name",
    "parent",
    "parentVApp",
    "config.uuid",
    "config.instanceUuid",
    "config.changeVersion",
    "config.template",
    "config.firmware",
    "config.bootOptions",
    "config.guestId",
    "config.guestFullName",
    "config.keyId",
    "config.hardware.numCPU",
    "config.hardware.memoryMB",
    "config.hardware.device",
    "layoutEx",
    "snapshot",
    "guest.toolsRunningStatus",
    "guest.net",
    "guest.ipStack",
    "runtime.powerState",
    "runtime.connectionState",
    "runtime.consolidationNeeded",
    "runtime.host",
)


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
    tpm: bool = False
    encrypted: bool = False
    """Whether the VM's configuration is; a disk says so of itself."""
    cdroms: tuple[Cdrom, ...] = ()
    host_devices: tuple[str, ...] = ()
    """Labels of devices of the ESXi host that it uses."""
    snapshots: tuple[Snapshot, ...] = ()
    connection_state: str = "connected"
    consolidation_needed: bool = False

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
    return _vm(vm, properties, _around(instance, [properties]))


def read_vms(instance: Any, vms: Sequence[Any]) -> list[Vm]:
    """Return what vCenter knows of several VMs, in two queries; those that are gone are left out."""
    found = list(read_each(instance, vms, _PATHS))
    around = _around(instance, [properties for _each, properties in found])
    return [_vm(each, properties, around) for each, properties in found]


def _around(instance: Any, vms: Iterable[Mapping[str, Any]]) -> Entities:
    """Return what VMs are in and on, by their properties."""
    entities = []
    for properties in vms:
        entities += [parent_of(properties), properties.get("runtime.host")]
        entities += [
            _portgroup(key) for key in portgroup_keys(properties.get("config.hardware.device", ()))
        ]
    return read_entities(instance, filter(None, entities))


def _portgroup(key: str) -> Any:
    return vim.dvs.DistributedVirtualPortgroup(key)


def _vm(vm: Any, properties: Mapping[str, Any], around: Entities) -> Vm:
    datacenter, folder = around.place_of(properties)
    devices = properties.get("config.hardware.device", ())
    boot = properties.get("config.bootOptions")
    seen = guest_networks(properties.get("guest.net", ()), properties.get("guest.ipStack", ()))
    return Vm(
        name=unescape(properties.get("name", "")),
        moid=vm._moId,
        uuid=properties.get("config.uuid", ""),
        instance_uuid=properties.get("config.instanceUuid", ""),
        datacenter=datacenter,
        folder=folder,
        host=around.name_of(properties.get("runtime.host")),
        cpu=properties.get("config.hardware.numCPU", 1),
        memory_mb=properties.get("config.hardware.memoryMB", 1),
        # "efi" is vSphere's word; the manifest's, and everybody else's, is "uefi".
        firmware="uefi" if properties.get("config.firmware") == "efi" else "bios",
        secure_boot=bool(getattr(boot, "efiSecureBootEnabled", False)),
        guest_id=properties.get("config.guestId", ""),
        guest_full_name=properties.get("config.guestFullName", ""),
        power_state=str(properties.get("runtime.powerState", "")),
        tools_running=properties.get("guest.toolsRunningStatus") == "guestToolsRunning",
        template=bool(properties.get("config.template", False)),
        change_version=properties.get("config.changeVersion", ""),
        disks=disks_of(
            devices, getattr(boot, "bootOrder", None) or (), _used(properties.get("layoutEx"))
        ),
        nics=nics_of(devices, lambda key: around.name_of(_portgroup(key)), seen),
        tpm=has_tpm(devices),
        encrypted=properties.get("config.keyId") is not None,
        cdroms=cdroms_of(devices),
        host_devices=host_devices_of(devices),
        snapshots=snapshots_of(properties.get("snapshot")),
        connection_state=str(properties.get("runtime.connectionState", "connected")),
        consolidation_needed=bool(properties.get("runtime.consolidationNeeded", False)),
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
