# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine that a manifest describes, as QEMU's command line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import BootCheckError
from .firmware import UefiFirmware
from .network.network import NicNetwork

MACHINES = ("q35", "pc")
DISK_BUSES = ("virtio-blk", "virtio-scsi")

# Memory for what QEMU translates, where it emulates; its own choice depends on the host.
TCG_BUFFER_MB = 512

# What a boot needs, not what the load needs: memory and CPUs of the manifest are bounded
# by these unless the user says otherwise, so that checks of large VMs fit on a host.
_LARGEST_MEMORY_MB = 4096
_DEFAULT_MEMORY_MB = 1024

_FORMATS = {
    ".qcow2": "qcow2",
    ".raw": "raw",
    ".img": "raw",
    ".vdi": "vdi",
    ".vmdk": "vmdk",
    ".vhd": "vpc",
    ".vhdx": "vhdx",
}
_MAC = re.compile(r"\A(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}\Z")


@dataclass(frozen=True)
class Disk:
    """A disk image: where it lies, and qemu's name of its format."""

    path: Path
    format: str

    @classmethod
    def of(cls, path: Path) -> Disk:
        """Take the format from the name.

        It is never guessed from the content: the content is the guest's, and a raw
        disk that begins like a qcow2 image could name any file of this host.
        """
        try:
            return cls(path, _FORMATS[path.suffix.lower()])
        except KeyError:
            raise BootCheckError(
                f"The format of {path} can't be told from its name.",
                action="Its name must end in " + ", ".join(sorted(_FORMATS)) + ".",
            ) from None


@dataclass(frozen=True)
class Machine:
    """A virtual machine.

    Attributes:
        disks: Its disks in the order in which they are attached.
        boot_index: Which of them it boots from.
        machine: q35 or pc.
        disk_bus: virtio-blk or virtio-scsi.
        uefi: Its firmware; None for BIOS.
        cpus: Number of CPUs.
        memory_mb: Memory in MiB.
        nics: Its NICs, on virtio, each on a network of its own.
        nic_order: Their places in the order in which the guest finds them; empty for as listed.
        tpm: Whether it has a TPM.
    """

    disks: Sequence[Disk]
    boot_index: int = 0
    machine: str = "q35"
    disk_bus: str = "virtio-blk"
    uefi: UefiFirmware | None = None
    cpus: int = 1
    memory_mb: int = _DEFAULT_MEMORY_MB
    nics: Sequence[NicNetwork] = ()
    nic_order: Sequence[int] = ()
    tpm: bool = False


@dataclass(frozen=True)
class Plumbing:
    """What QEMU is connected with.

    Attributes:
        qmp_socket: Path of the socket that QEMU listens on.
        variables: The copy of the UEFI's variable store.
        nics: A socket for each NIC, of datagrams that are frames.
        agent: A socket for the guest agent's channel.
        tpm_socket: Path of the socket that the TPM listens on.
    """

    qmp_socket: str
    variables: Path | None = None
    nics: Sequence[int] = ()
    agent: int | None = None
    tpm_socket: str | None = None


def described_cpus(document: dict[str, Any]) -> int:
    """Return how many CPUs to check with: the manifest's, at most this host's."""
    wanted = int(document.get("vm", {}).get("cpu", 1))
    return max(1, min(wanted, os.cpu_count() or 1))


def described_memory(document: dict[str, Any]) -> int:
    """Return how much memory to check with, in MiB: the manifest's, at most 4096."""
    described = document.get("vm", {})
    exactly, gib = described.get("memory_mb"), described.get("mem_gb")
    if exactly is None and gib is None:
        return _DEFAULT_MEMORY_MB
    return min(int(exactly) if exactly is not None else int(gib) * 1024, _LARGEST_MEMORY_MB)


def described_nics(document: dict[str, Any], network: Mapping[str, Any]) -> tuple[NicNetwork, ...]:
    """Return the NICs of the manifest.

    Args:
        document: The manifest.
        network: What the conversion recorded of the guest's network: new MAC addresses, if any.
    """
    bound = network.get("macs") or {}
    ids = [str(nic.get("id") or f"nic-{index}") for index, nic in enumerate(_nics_in(document))]
    return tuple(
        NicNetwork(name, str(bound.get(name) or nic.get("mac") or ""))
        for name, nic in zip(ids, _nics_in(document))
    )


def _nics_in(document: dict[str, Any]) -> list[dict[str, Any]]:
    return document.get("nics") or []


def given_nics(macs: Sequence[str]) -> tuple[NicNetwork, ...]:
    """Return NICs with these MAC addresses."""
    return tuple(NicNetwork(f"nic-{index}", mac) for index, mac in enumerate(macs))


def qemu_arguments(machine: Machine, plumbing: Plumbing, *, program: str, kvm: bool) -> list[str]:
    """Return QEMU's argument vector.

    Nothing is written to the images: they are opened in snapshot mode, and what the
    guest writes goes to a temporary file in TMPDIR.

    Args:
        machine: What to build.
        plumbing: What it is connected with.
        program: QEMU's program.
        kvm: Whether KVM works; QEMU's own emulation (TCG) is used otherwise.
    """
    arguments = [program, "-nodefaults", "-no-user-config", "-snapshot"]
    # With graphics=off SeaBIOS repeats on the serial line what it shows on the screen,
    # and so what GRUB and "No bootable device" say; the screen is there all the same.
    kind = f"{machine.machine},graphics=off"
    if machine.uefi is not None and machine.uefi.smm:
        if machine.machine != "q35":
            raise BootCheckError("Secure Boot needs the machine type q35.")
        kind += ",smm=on"
    arguments += ["-machine", kind, "-device", "VGA"]
    arguments += ["-accel", "kvm" if kvm else f"tcg,tb-size={TCG_BUFFER_MB}"]
    arguments += ["-cpu", "host" if kvm else "max"]
    arguments += ["-smp", str(machine.cpus), "-m", str(machine.memory_mb), "-display", "none"]
    arguments += ["-device", "virtio-rng-pci"]
    arguments += _firmware(machine.uefi, plumbing.variables)
    arguments += _disks(machine)
    arguments += _nics(machine, plumbing.nics)
    if plumbing.tpm_socket is not None:
        arguments += ["-chardev", f"socket,id=tpm,path={_escaped(plumbing.tpm_socket)}"]
        arguments += ["-tpmdev", "emulator,id=tpm0,chardev=tpm"]
        arguments += ["-device", f"{'tpm-crb' if machine.uefi else 'tpm-tis'},tpmdev=tpm0"]
    if plumbing.agent is not None:
        port = "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"
        arguments += ["-device", "virtio-serial-pci", "-device", port]
        arguments += ["-chardev", f"socket,id=agent,fd={plumbing.agent}"]
    arguments += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
    monitor = f"socket,id=qmp,path={_escaped(plumbing.qmp_socket)},server=on,wait=off"
    return [*arguments, "-chardev", monitor, "-mon", "chardev=qmp,mode=control"]


def _firmware(uefi: UefiFirmware | None, variables: Path | None) -> list[str]:
    if uefi is None or variables is None:
        return []
    code = f"if=pflash,unit=0,format={uefi.code_format},readonly=on,file={_escaped(uefi.code)}"
    store = f"if=pflash,unit=1,format={uefi.variables_format},file={_escaped(variables)}"
    arguments = ["-drive", code, "-drive", store]
    if uefi.smm:
        # Only code in SMM may write the variables; such firmware refuses to start where
        # others may too, and hangs in S3.
        arguments += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
        arguments += ["-global", "ICH9-LPC.disable_s3=1"]
    return arguments


def _disks(machine: Machine) -> list[str]:
    arguments = []
    if machine.disk_bus == "virtio-scsi":
        arguments += ["-device", "virtio-scsi-pci,id=scsi"]
    for index, disk in enumerate(machine.disks):
        drive = f"if=none,id=disk{index},format={disk.format},file={_escaped(disk.path)}"
        device = "virtio-blk-pci"
        if machine.disk_bus == "virtio-scsi":
            device = f"scsi-hd,bus=scsi.0,scsi-id={index}"
        device += f",drive=disk{index}"
        if index == machine.boot_index:
            device += ",bootindex=1"
        arguments += ["-drive", drive, "-device", device]
    return arguments


def _nics(machine: Machine, sockets: Sequence[int]) -> list[str]:
    """Return the NICs' arguments; QEMU gives out PCI slots in the order in which devices are named."""
    arguments = []
    wired = list(zip(machine.nics, sockets))
    for index in machine.nic_order or range(len(wired)):
        nic, descriptor = wired[index]
        # Without its option ROM no NIC is booted from.
        device = f"virtio-net-pci,netdev=net{index},romfile="
        if nic.mac:
            if not _MAC.match(nic.mac):
                raise BootCheckError(
                    f"The manifest's nics[{index}].mac, {nic.mac!r}, is no MAC address."
                )
            device += f",mac={nic.mac}"
        arguments += ["-netdev", f"socket,id=net{index},fd={descriptor}", "-device", device]
    return arguments


def _escaped(value: Path | str) -> str:
    """Return a value for QEMU's key=value lists, in which a comma is doubled."""
    return str(value).replace(",", ",,")
