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
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import arp
from ansible_collections.hypersdk.hyper2kvm.tests.guests import guest as guests
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest, Nic
from ansible_collections.hypersdk.hyper2kvm.tests.guests.hardware import (
    HARDWARE,
    Wires,
    command_line,
)
from ansible_collections.hypersdk.hyper2kvm.tests.guests.namespace import DIES_WITH_US

# Where a boot ends that found no root filesystem or no working system in it.
STRANDED = r"\(initramfs\)|Kernel panic|emergency mode|grub rescue>|grub>|No bootable device|Shell>"


@dataclass(frozen=True)
class Console:
    """What was seen: the text that ended the wait, after how long, and all of the console."""

    matched: str
    seconds: float
    text: str


@dataclass(frozen=True)
class Machine:
    """A running QEMU: its console's file and the ways to its NICs' addresses."""

    process: subprocess.Popen[bytes]
    console: Path
    wires: Wires
    vlan: int
    listening: Mapping[str, socket.socket]  # by MAC address, where frames are exchanged
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

        Where frames are exchanged that is the MAC address that replies for it on this NIC's wire.

        Raises:
            TimeoutError: Nothing was said.
        """
        if nic.mac in self.listening:
            own = self.wires.sockets[nic.mac][0]
            return arp.ask(self.listening[nic.mac], own, nic.address, self.vlan, seconds)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.wires.ports[nic.mac]), 5) as link:
                    said = link.makefile("r", encoding="utf-8").readline().strip()
            except OSError:
                said = ""
            if said:
                return said
            time.sleep(0.5)
        raise TimeoutError(f"{nic.address} of {nic.name} said nothing in {seconds:.0f} s.")


@contextmanager
def running(
    guest: Guest,
    *,
    hardware: str,
    boot_disk: Path | None = None,
    data_disk: Path | None = None,
    way: str = "",
) -> Iterator[Machine]:
    """Run a guest until the block ends.

    Args:
        guest: The guest.
        hardware: "vmware" (its disks' controllers, vmxnet3 in ESXi's slots) or "virtio".
        boot_disk: Another image in place of its boot disk, such as a converted one.
        data_disk: Another image in place of its data disk.
        way: The network configuration that is in force, of a guest with several.
    """
    vlan = guest.way(way).vlan if way else 0
    nics = guest.way(way).nics if way else guest.nics
    disks = (boot_disk or guest.boot.raw, data_disk or guest.data.raw)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guest-")))
        console = scratch / "console.log"
        console.touch()
        wires = Wires(
            ports={nic.mac: _free_port() for nic in nics if not vlan},
            ssh_ports={nic.mac: _free_port() for nic in nics if not vlan},
            sockets={
                nic.mac: (scratch / f"guest-{number}", scratch / f"ours-{number}")
                for number, nic in enumerate(nics)
                if vlan
            },
        )
        listening = {}
        for mac, (_guest, ours) in wires.sockets.items():
            listening[mac] = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            listening[mac].bind(str(ours))
        argv = command_line(
            *(guest, hardware, disks, nics, wires), scratch=scratch, console=console, way=way
        )
        process = subprocess.Popen([*DIES_WITH_US, *argv], stdin=subprocess.DEVNULL)
        try:
            yield Machine(process, console, wires, vlan, listening, time.monotonic())
        finally:
            process.kill()
            process.wait()


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
    parser.add_argument("--data-disk", type=Path, help="another image of its data disk")
    parser.add_argument("--way", default="", help="the network configuration in force")
    parser.add_argument("--console", type=Path, help="where to leave the console's text")
    parser.add_argument("--timeout", type=float, default=240, help="seconds")
    arguments = parser.parse_args()
    guest = guests.load(arguments.directory)
    nics = guest.way(arguments.way).nics if arguments.way else guest.nics
    with running(
        guest,
        hardware=arguments.hardware,
        boot_disk=arguments.boot_disk,
        data_disk=arguments.data_disk,
        way=arguments.way,
    ) as machine:
        try:
            seen = machine.wait_for(f"{guest.login_pattern}|{STRANDED}", arguments.timeout)
            print(f"{seen.matched!r} after {seen.seconds:.0f} s")
            if re.search(guest.login_pattern, seen.matched):
                for nic in nics:
                    print(f"{nic.address} says {machine.answer(nic, 30)!r}")
        except TimeoutError as error:
            sys.exit(str(error))
        finally:
            if arguments.console:
                shutil.copyfile(machine.console, arguments.console)


if __name__ == "__main__":
    main()
