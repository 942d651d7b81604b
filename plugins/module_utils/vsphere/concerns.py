# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands in the way of a VM's export, or will not be on KVM as it was.

It is said before anything is done to the VM: before it is shut down, and before a lease is asked
for. Each rule is about an export over an NFC lease, which is what this collection does; a copy by
other means knows others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..manifest.guest_ids import UNKNOWN, os_hint
from .facts import Vm
from .hardware import Disk
from .snapshot_tree import OWN_NAME

ERROR = "error"
"""The export fails."""

WARNING = "warning"
"""It can be exported; somebody should know what becomes of it."""

INFORMATION = "information"
"""It can be exported, and nothing has to be done."""

#: Errors of which vCenter has the last word: what it really refuses depends on its release.
DISPUTABLE = ("disk_independent", "disk_raw_mapping", "disk_shared", "encrypted", "tpm")


@dataclass(frozen=True)
class Concern:
    """Something about a VM: what kind, how grave, and in sentences what it is and what to do."""

    id: str
    severity: str
    message: str
    action: str


@dataclass(frozen=True)
class Way:
    """How an export is to go about a VM that runs.

    Attributes:
        power_off: Whether it is shut down.
        force_power_off: Whether it is powered off hard where it can't be shut down.
        through_snapshot: Whether it is exported through a snapshot while it runs.
    """

    power_off: bool = False
    force_power_off: bool = False
    through_snapshot: bool = False


def concerns_of(vm: Vm, way: Way) -> tuple[Concern, ...]:
    """Return what there is to say of a VM's export, the gravest first."""
    order = (ERROR, WARNING, INFORMATION)
    rules = (_of_machine, _of_disks, _of_devices, _of_snapshots, _of_guest)
    found = [concern for rule in rules for concern in rule(vm)]
    found += _of_power(vm, way)
    return tuple(sorted(found, key=lambda concern: order.index(concern.severity)))


def _of_machine(vm: Vm) -> Iterator[Concern]:
    if vm.connection_state != "connected":
        yield Concern(
            "not_connected",
            ERROR,
            f"{vm.name} is {vm.connection_state}: vCenter can't reach it or its files.",
            "Bring its ESXi host and its datastore back.",
        )
    if vm.encrypted or any(disk.encrypted for disk in vm.disks):
        yield Concern(
            "encrypted",
            ERROR,
            f"{vm.name} is encrypted by vSphere, and vCenter exports no such VM.",
            "Decrypt it: change its storage policy to one without encryption.",
        )
    if vm.tpm:
        yield Concern(
            "tpm",
            ERROR,
            f"{vm.name} has a virtual TPM, and vCenter exports no such VM.",
            "Have the guest seal nothing to it (suspend BitLocker), and remove it from the VM.",
        )


def _of_power(vm: Vm, way: Way) -> Iterator[Concern]:
    if vm.power_state == "poweredOff" or way.through_snapshot:
        return
    if vm.power_state == "suspended":
        yield Concern(
            "suspended",
            ERROR,
            f"{vm.name} is suspended; its disks are in the middle of something.",
            "Resume it and shut it down, or power it off, then export.",
        )
    elif not way.power_off:
        yield Concern(
            "running",
            ERROR,
            f"{vm.name} is {vm.power_state}; only a VM that is powered off can be exported.",
            "Shut it down, let the module do so with power_off: true, "
            "or export it through a snapshot.",
        )
    elif not vm.tools_running and not way.force_power_off:
        yield Concern(
            "tools_not_running",
            ERROR,
            f"{vm.name} can't be asked to shut down: VMware Tools are not running in it.",
            "Shut it down yourself, or set force_power_off: true.",
        )


def _of_disks(vm: Vm) -> Iterator[Concern]:
    if not vm.disks:
        yield Concern(
            "no_disk",
            ERROR,
            f"{vm.name} has no disk to export.",
            "Leave it out, or attach its disk.",
        )
    for disk in vm.disks:
        yield from _of_disk(vm.name, disk)


def _of_disk(name: str, disk: Disk) -> Iterator[Concern]:
    if disk.capacity <= 0:
        yield Concern(
            "disk_without_capacity",
            ERROR,
            f"{disk.label} of {name} has no size.",
            "Look at the disk in vSphere; its file may be gone.",
        )
    if disk.raw_mapping == "physical":
        yield Concern(
            "disk_raw_mapping",
            ERROR,
            f"{disk.label} of {name} is a raw device mapping in physical mode, which no export holds.",
            "Migrate its content by other means, and detach it.",
        )
    elif disk.raw_mapping:
        yield Concern(
            "disk_raw_mapping",
            WARNING,
            f"{disk.label} of {name} is a raw device mapping, and becomes an ordinary disk.",
            "See that nothing but this VM uses the LUN.",
        )
    if disk.mode.startswith("independent"):
        yield Concern(
            "disk_independent",
            ERROR,
            f"{disk.label} of {name} is independent ({disk.mode}), and not exported with its VM.",
            "Make it dependent in the VM's settings while the VM is off.",
        )
    if disk.shared:
        yield Concern(
            "disk_shared",
            ERROR,
            f"{disk.label} of {name} is shared with other VMs, and not exported with one of them.",
            "Migrate the cluster as a whole: stop sharing the disk, and export it with one VM.",
        )


def _of_devices(vm: Vm) -> Iterator[Concern]:
    for label in vm.host_devices:
        yield Concern(
            "host_device",
            WARNING,
            f"{vm.name} uses {label} of its ESXi host, which does not come along.",
            "Give the domain a device of its new host, or see that the guest does without.",
        )
    for drive in vm.cdroms:
        yield Concern(
            "cdrom_image",
            INFORMATION,
            f"{drive.label} of {vm.name} holds {drive.image}, which is left behind.",
            "Nothing; cdrom_images: true exports it too.",
        )


def _of_snapshots(vm: Vm) -> Iterator[Concern]:
    own = [snapshot for snapshot in vm.snapshots if snapshot.name == OWN_NAME]
    for snapshot in own:
        yield Concern(
            "export_snapshot_left",
            WARNING,
            f"{vm.name} still has the snapshot {OWN_NAME} of {snapshot.created}, left by an export "
            "that was killed.",
            "Remove it when no export of this VM is running.",
        )
    if vm.consolidation_needed:
        yield Concern(
            "consolidation_needed",
            WARNING,
            f"The disks of {vm.name} need consolidation: files of removed snapshots are left.",
            "Consolidate them in vSphere; the export reads less then.",
        )
    if len(vm.snapshots) > len(own):
        yield Concern(
            "snapshots",
            INFORMATION,
            f"{vm.name} has snapshots, and what is exported is its present state alone.",
            "Nothing; snapshot with a name exports the state of that one.",
        )


def _of_guest(vm: Vm) -> Iterator[Concern]:
    if os_hint(vm.guest_id) == UNKNOWN:
        yield Concern(
            "guest_unknown",
            WARNING,
            f"The guest of {vm.name} is {vm.guest_full_name or vm.guest_id or 'not named'} in "
            "vSphere; hyper2kvm fixes Linux and Windows.",
            "Correct it in the VM's settings, or convert without the stage fix.",
        )
    if vm.power_state == "poweredOn" and not any(nic.guest.addresses for nic in vm.nics):
        yield Concern(
            "addresses_unknown",
            INFORMATION,
            f"VMware Tools tell no address of {vm.name}.",
            "Nothing for Linux, whose own files are read; for others name them with migrate_expect.",
        )
