# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a guest under QEMU, as ESXi shows it or on virtio, and watch its console.

This is the tests' own way to look at a guest, apart from the collection's boot
check: it says what a guest is like before anything was done to it. The disks
are never written (snapshot mode).

    python -m ansible_collections.hypersdk.hyper2kvm.tests.guests.machine \
        GUEST_DIRECTORY --hardware vmware|virtio [--boot-disk IMAGE]
"""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import guest as guests
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest, Nic
from ansible_collections.hypersdk.hyper2kvm.tests.guests.namespace import DIES_WITH_US

HARDWARE = ("vmware", "virtio")

# Where a boot ends that found no root filesystem or no working system in it.
STRANDED = r"\(initramfs\)|Kernel panic|emergency mode|grub rescue>"

# The boot disk on SCSI (0:0), the data disk on SATA (0:0).
_VMWARE_DISKS = ("scsi-hd,bus=scsi0.0,scsi-id=0", "ide-hd,bus=ide.0")

# With ACPI hotplug off the slot number of a PCIe root port reaches the guest,
# so that udev derives the same interface name from it as it does on ESXi.
_ESXI_SLOTS = ("-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off")


@dataclass(frozen=True)
class Console:
    """What was seen: the text that ended the wait, after how long, and all of the console."""

    matched: str
    seconds: float
    text: str


@dataclass(frozen=True)
class Machine:
    """A running QEMU: its console's file and the local ports that lead to its NICs' addresses."""

    process: subprocess.Popen[bytes]
    console: Path
    ports: dict[str, int]  # by interface name
    started: float

    def wait_for(self, pattern: str, seconds: float) -> Console:
        """Wait until the console shows the pattern.

        Raises:
            TimeoutError: It did not in that time, or QEMU ended; the message
                has the console's last lines.
        """
        wanted = re.compile(pattern)
        while True:
            ended = self.process.poll() is not None
            text = self.console.read_text(encoding="utf-8", errors="replace")
            elapsed = time.monotonic() - self.started
            match = wanted.search(text)
            if match:
                return Console(matched=match[0], seconds=elapsed, text=text)
            if ended or elapsed > seconds:
                tail = "\n".join(text.splitlines()[-15:])
                raise TimeoutError(f"No {pattern!r} on the console in {elapsed:.0f} s:\n{tail}")
            time.sleep(0.3)

    def answer(self, nic: Nic, seconds: float) -> str:
        """Return the line that the guest says at a NIC's address, trying for some time.

        Raises:
            TimeoutError: Nothing was said.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.ports[nic.name]), 5) as link:
                    said = link.makefile("r", encoding="utf-8").readline().strip()
            except OSError:
                said = ""
            if said:
                return said
            time.sleep(0.5)
        raise TimeoutError(f"{nic.address} of {nic.name} said nothing in {seconds:.0f} s.")


@contextmanager
def running(guest: Guest, *, hardware: str, boot_disk: Path | None = None) -> Iterator[Machine]:
    """Run a guest until the block ends.

    Args:
        guest: The guest.
        hardware: "vmware" (PVSCSI and SATA disks, vmxnet3 in ESXi's slots) or "virtio".
        boot_disk: Another image in place of its boot disk, such as a converted one.
    """
    ports = {nic.name: _free_port() for nic in guest.nics}
    with tempfile.TemporaryDirectory(prefix="guest-") as scratch:
        console = Path(scratch) / "console.log"
        console.touch()
        argv = _command_line(guest, hardware, boot_disk or guest.boot.raw, console, ports)
        process = subprocess.Popen([*DIES_WITH_US, *argv], stdin=subprocess.DEVNULL)
        try:
            yield Machine(process=process, console=console, ports=ports, started=time.monotonic())
        finally:
            process.kill()
            process.wait()


def _command_line(
    guest: Guest, hardware: str, boot_disk: Path, console: Path, ports: dict[str, int]
) -> list[str]:
    argv = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot", "-snapshot"]
    argv += ["-machine", "q35,accel=tcg", "-cpu", "max", "-smp", str(guest.cpu)]
    argv += ["-m", str(guest.memory_mb), "-serial", f"file:{console}"]
    if hardware == "vmware":
        argv += [*_ESXI_SLOTS, "-device", "pvscsi,id=scsi0"]
    for number, image in enumerate((boot_disk, guest.data.raw)):
        driver = "raw" if image.suffix == ".raw" else image.suffix.lstrip(".")
        argv += ["-drive", f"if=none,id=disk{number},file={image},format={driver}"]
        device = _VMWARE_DISKS[number] if hardware == "vmware" else "virtio-blk-pci"
        argv += ["-device", f"{device},drive=disk{number},bootindex={number}"]
    for number, nic in enumerate(guest.nics):
        address = nic.address.split("/")[0]
        forward = f"tcp:127.0.0.1:{ports[nic.name]}-{address}:{guest.answer_port}"
        network = f"user,id=net{number},restrict=on,net={nic.network},hostfwd={forward}"
        argv += ["-netdev", network]
        if hardware == "vmware":
            port = f"pcie-root-port,id=port{number},chassis={number + 1},slot={nic.pci_slot}"
            argv += ["-device", port]
            device = f"vmxnet3,bus=port{number}"
        else:
            device = "virtio-net-pci"
        argv += ["-device", f"{device},netdev=net{number},mac={nic.mac}"]
    return argv


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Boot a guest, print its console's end and whether it answers."""
    parser = argparse.ArgumentParser(description="Boot a guest and watch its console.")
    parser.add_argument("directory", type=Path, help="the guest's directory in the cache")
    parser.add_argument("--hardware", choices=HARDWARE, default="vmware")
    parser.add_argument("--boot-disk", type=Path, help="another image of its boot disk")
    parser.add_argument("--console", type=Path, help="where to leave the console's text")
    parser.add_argument("--timeout", type=float, default=240, help="seconds")
    arguments = parser.parse_args()
    guest = guests.load(arguments.directory)
    with running(guest, hardware=arguments.hardware, boot_disk=arguments.boot_disk) as machine:
        try:
            seen = machine.wait_for(f"{guest.login_pattern}|{STRANDED}", arguments.timeout)
            print(f"{seen.matched!r} after {seen.seconds:.0f} s")
            if re.search(guest.login_pattern, seen.matched):
                for nic in guest.nics:
                    print(f"{nic.address} says {machine.answer(nic, 30)!r}")
        except TimeoutError as error:
            sys.exit(str(error))
        finally:
            if arguments.console:
                shutil.copyfile(machine.console, arguments.console)


if __name__ == "__main__":
    main()
