# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""QEMU's command line for a guest: the machine as ESXi shows it, or on virtio.

The disks are never written (snapshot mode).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest, Nic

HARDWARE = ("vmware", "virtio")

# By controller: the boot disk at 0:0 of it, the data disk on SATA.
_VMWARE_DISKS = {
    "pvscsi": ("scsi-hd,bus=scsi0.0,scsi-id=0", "ide-hd,bus=ide.0"),
    # OVMF has no driver for VMware's paravirtual SCSI controller.
    "sata": ("ide-hd,bus=ide.0", "ide-hd,bus=ide.1"),
}

# With ACPI hotplug off the slot number of a PCIe root port reaches the guest,
# so that udev derives the same interface name from it as it does on ESXi.
_ESXI_SLOTS = ("-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off")

# Ways whose NICs ask for their addresses. To the others QEMU's DHCP server offers one that is not
# theirs: a NIC that lost its own, and asks for any, must not get it back.
_ASKING = ("ifupdown-dhcp",)

_UEFI_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
_UEFI_VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")


@dataclass(frozen=True)
class Wires:
    """Where the tests reach a guest's NICs: forwarded ports, or pairs of datagram sockets.

    All are by MAC address. A pair is QEMU's own socket and the one it sends to.
    """

    ports: Mapping[str, int]
    ssh_ports: Mapping[str, int]
    sockets: Mapping[str, tuple[Path, Path]]


def command_line(
    guest: Guest,
    hardware: str,
    disks: Sequence[Path],
    nics: Sequence[Nic],
    wires: Wires,
    *,
    scratch: Path,
    console: Path,
    way: str = "",
) -> list[str]:
    """Return QEMU's arguments.

    Args:
        guest: The guest.
        hardware: "vmware" or "virtio".
        disks: Images of its boot disk and its data disk.
        nics: Its NICs, with the addresses that are to be reached.
        wires: How they are reached.
        scratch: A directory for the firmware's variables.
        console: The file of the serial console.
        way: What the firmware's tables say about which network configuration is in force.
    """
    argv = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot", "-snapshot"]
    argv += ["-machine", "q35,accel=tcg", "-cpu", "max", "-smp", str(guest.cpu)]
    argv += ["-m", str(guest.memory_mb), "-serial", f"file:{console}"]
    argv += ["-device", "virtio-rng-pci"] if hardware == "virtio" else []
    if guest.firmware == "uefi":
        variables = scratch / "uefi-variables.fd"
        shutil.copyfile(_UEFI_VARIABLES, variables)
        argv += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={_UEFI_CODE}"]
        argv += ["-drive", f"if=pflash,unit=1,format=raw,file={variables}"]
    if way:
        argv += ["-smbios", f"type=1,family={way}"]
    if hardware == "vmware":
        argv += [*_ESXI_SLOTS, "-device", "pvscsi,id=scsi0"]
    for number, image in enumerate(disks):
        image_format = "raw" if image.suffix == ".raw" else image.suffix.lstrip(".")
        argv += ["-drive", f"if=none,id=disk{number},file={image},format={image_format}"]
        device = "virtio-blk-pci"
        if hardware == "vmware":
            device = _VMWARE_DISKS[guest.controller][number]
        argv += ["-device", f"{device},drive=disk{number},bootindex={number}"]
    for number, nic in enumerate(nics):
        argv += _nic(number, nic, hardware, wires, guest.answer_port, asks=way in _ASKING)
    return argv


def _nic(
    number: int, nic: Nic, hardware: str, wires: Wires, answer_port: int, *, asks: bool
) -> list[str]:
    if nic.mac in wires.sockets:
        own, other = wires.sockets[nic.mac]
        network = f"dgram,id=net{number},local.type=unix,local.path={own}"
        network += f",remote.type=unix,remote.path={other}"
    else:
        address = nic.address.split("/", maxsplit=1)[0]
        network = f"user,id=net{number},restrict=on"
        if address:
            offered = address if asks else f"{address.rpartition('.')[0]}.200"
            network += f",net={nic.network},dhcpstart={offered}"
            for ours, port in ((wires.ports, answer_port), (wires.ssh_ports, 22)):
                network += f",hostfwd=tcp:127.0.0.1:{ours[nic.mac]}-{address}:{port}"
    argv = ["-netdev", network]
    if hardware == "vmware":
        slot = f"pcie-root-port,id=port{number},chassis={number + 1},slot={nic.pci_slot}"
        argv += ["-device", slot]
        device = f"vmxnet3,bus=port{number}"
    else:
        device = "virtio-net-pci"
    return [*argv, "-device", f"{device},netdev=net{number},mac={nic.mac}"]
