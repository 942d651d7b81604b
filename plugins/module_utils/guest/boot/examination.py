# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Linux guest, looked at for what a boot on KVM's virtio needs. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..files import GuestFiles, text_of
from ..fstab import FSTAB, parse_fstab
from ..layers import Layers
from ..repair import ERROR, OR_REPAIR, WARNING, Finding
from ..storage import Storage
from .arrays import Restriction, find_restrictions
from .arrays import findings as array_findings
from .disk_rules import findings as rule_findings
from .drivers import KernelState, Lack, judge
from .grub_package import findings as package_findings
from .initramfs import InitramfsError
from .kernels import Kernel, find_kernels, read_index, read_initramfs
from .loader import fallback_finding, find_esp, find_fallback
from .lvm import Obstacle, find_obstacles
from .lvm import findings as lvm_findings
from .names import Named, find_named
from .names import findings as name_findings


@dataclass(frozen=True)
class Guest:
    """A Linux guest whose filesystems are mounted.

    Attributes:
        files: Its files.
        storage: Its volumes.
        root_device: The volume that its root is on.
        mounted: For each mount point the device.
        layers: What the root filesystem (and a separate /usr) stands on.
        firmware: "bios" or "uefi".
        architecture: x86_64, …
        original_fstab: Its fstab before FIX.
    """

    files: GuestFiles
    storage: Storage
    root_device: str
    mounted: dict[str, str]
    layers: Layers
    firmware: str
    architecture: str = "x86_64"
    original_fstab: str = ""

    def filesystems(self) -> tuple[tuple[str, str], ...]:
        """What the initramfs mounts: mount point and type."""
        root = self.storage.named(self.root_device)
        found = [("/", root.type)] if root is not None and root.type else []
        for mount in parse_fstab(text_of(self.files, FSTAB)):
            if mount.mount_point == "/usr":
                match = self.storage.find(mount.spec, mount_point="/usr", fs_type=mount.type)
                kind = match.volume.type if match.volume is not None else mount.type
                found.append(("/usr", kind))
        return tuple(found)


@dataclass(frozen=True)
class Examination:
    """What was seen.

    Attributes:
        kernels: The installed kernels, newest first, and states: what each holds.
        unreadable: Findings of initramfs that can't be read.
        named: The devices that the guest's files name.
        lvm: What keeps LVM from its disks.
        arrays: What keeps mdadm from them.
        others: What is to be known of udev's rules for disks and of GRUB's package.
        esp: Where the EFI system partition is mounted, None for a BIOS guest.
        fallback: The path of the fall-back loader, None when there is none.
        loader_finding: What is wrong with a UEFI guest's boot loader.
    """

    kernels: tuple[Kernel, ...]
    states: tuple[KernelState, ...]
    unreadable: tuple[Finding, ...]
    named: tuple[Named, ...]
    lvm: tuple[Obstacle, ...] = ()
    arrays: tuple[Restriction, ...] = ()
    others: tuple[Finding, ...] = ()
    esp: str | None = None
    fallback: str | None = None
    loader_finding: Finding | None = None

    def findings(self) -> list[Finding]:
        """Everything that is wrong."""
        found = [*self.unreadable, *name_findings(self.named), *lvm_findings(self.lvm)]
        found += (*array_findings(self.arrays), *self.others)
        if not self.kernels:
            found.append(_no_kernel())
        for state in self.states:
            found += _of_kernel(state)
        if self.loader_finding is not None:
            found.append(self.loader_finding)
        return found

    def summary(self) -> dict[str, Any]:
        """Return what a playbook may read of it, as plain values."""
        return {
            "kernels": [
                {
                    "version": state.version,
                    "initramfs": state.initramfs,
                    "boots_on_virtio": state.boots,
                    "missing": [lack.name for lack in (*state.missing, *state.unavailable)],
                }
                for state in self.states
            ],
            "drivers": {state.version: state.drivers for state in self.states},
            "boot_loader": {"esp": self.esp or "", "fallback": self.fallback or ""},
        }


def examine(guest: Guest) -> Examination:
    """Look at all of a guest."""
    kernels = find_kernels(guest.files)
    states, unreadable = examine_kernels(guest, kernels)
    examination = Examination(
        kernels=kernels,
        states=states,
        unreadable=unreadable,
        named=(),
    )
    return examine_files(guest, examination)


def examine_kernels(
    guest: Guest, kernels: tuple[Kernel, ...]
) -> tuple[tuple[KernelState, ...], tuple[Finding, ...]]:
    """Return what each of some kernels holds, and what can't be read."""
    states: list[KernelState] = []
    unreadable: list[Finding] = []
    filesystems = guest.filesystems()
    for kernel in kernels:
        try:
            files, digest = read_initramfs(guest.files, kernel)
        except InitramfsError as error:
            unreadable.append(
                Finding(
                    ERROR,
                    kernel.initramfs,
                    f"The initramfs of kernel {kernel.version} can't be read. {error.message}",
                    error.action or "Rebuild it in the guest before the export.",
                )
            )
            continue
        index = read_index(guest.files, kernel)
        state = judge(kernel, index, files, filesystems=filesystems, layers=guest.layers)
        states.append(replace(state, digest=digest))
    return tuple(states), tuple(unreadable)


def examine_files(guest: Guest, examination: Examination) -> Examination:
    """Return *examination* with a new look at all but the initramfs, which take long to read."""
    esp = fallback = finding = None
    if guest.firmware == "uefi":
        esp = find_esp(guest.files, frozenset(guest.mounted))
        finding = fallback_finding(guest.files, esp, guest.architecture)
        if esp is not None:
            fallback = find_fallback(guest.files, esp, guest.architecture)
    return replace(
        examination,
        named=find_named(guest.files, guest.storage, guest.root_device, guest.original_fstab),
        lvm=find_obstacles(guest.files, guest.storage),
        arrays=find_restrictions(guest.files, guest.storage),
        others=(*rule_findings(guest.files), *package_findings(guest.files)),
        esp=esp,
        fallback=fallback,
        loader_finding=finding,
    )


def _of_kernel(state: KernelState) -> Iterator[Finding]:
    place = state.initramfs or f"/lib/modules/{state.version}"
    if state.missing:
        yield Finding(
            ERROR,
            place,
            f"The initramfs of kernel {state.version} has no {_listed(state.missing)}.",
            f"Add them to the initramfs in the guest before the export{OR_REPAIR}.",
        )
    for lack in state.unavailable:
        yield Finding(
            ERROR,
            f"/lib/modules/{state.version}",
            f"Kernel {state.version} has no module {lack.name} ({lack.why}).",
            "Install a kernel with it in the guest before the export, or remove this one.",
        )
    for lack in state.programs:
        yield Finding(
            ERROR,
            place,
            f"The initramfs of kernel {state.version} has no program {lack.name}: {lack.why}.",
            f"Rebuild it in the guest before the export{OR_REPAIR}.",
        )


def _listed(lacks: tuple[Lack, ...]) -> str:
    return ", ".join(f"{lack.name} ({lack.why})" for lack in lacks)


def _no_kernel() -> Finding:
    return Finding(
        WARNING,
        "/boot",
        "No kernel with its modules was found in the guest (a unified kernel image is not looked"
        " into), so nothing could be said about its drivers.",
        "Let the boot check show that it boots.",
    )
