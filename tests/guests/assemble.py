# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the guests beside the ordinary one have in common: how a guest comes out of a tree.

Each has the ordinary guest's data disk as its second one, and looks like it
came from VMware: fstab and command line name /dev/sda*, no virtio in the
initramfs, NICs named by their PCI slots.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import (
    data_disk,
    debian,
    debian_bios,
    disk,
    facts,
    guest,
    namespace,
    system,
)
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Disk, Guest, Nic, Way
from ansible_collections.hypersdk.hyper2kvm.tests.support import stream_optimized
from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import built, keyed

DATA_MOUNT = debian_bios.DATA_MOUNT
DATA_LINE = f"/dev/sdb1 {DATA_MOUNT} ext4 defaults 0 2\n"
_ROOMS = (data_disk, debian, debian_bios, disk, facts, guest, namespace, system, stream_optimized)

_DEFAULT_GRUB = """\
GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="{command_line}"
GRUB_TERMINAL="{terminal}"
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
GRUB_DISABLE_LINUX_UUID=true
GRUB_DISABLE_OS_PROBER=true
GRUB_DISABLE_RECOVERY=true
GRUB_DISABLE_SUBMENU=y
"""

_GRUB_MENU = """\
set default=0
set timeout=0
serial --unit=0 --speed=115200
terminal_input {terminal}
terminal_output {terminal}
menuentry 'Debian GNU/Linux' --class debian --class gnu-linux --class os {{
{modules}
  set root='{disk}'
  echo 'Loading Linux {version} ...'
  linux {boot}/vmlinuz-{version} root={root} ro {command_line}
  initrd {boot}/initrd.img-{version}
}}
"""


def build(
    name: str,
    hostname: str,
    make_boot: Callable[[Path, Path], int],
    *,
    nics: Sequence[Nic],
    rooms: Sequence[str],
    firmware: str = "bios",
    controller: str = "pvscsi",
    memory_mb: int = 512,
    ways: Sequence[Way] = (),
) -> Guest:
    """Return a guest, built into the cache if it is not there.

    Args:
        name: The guest's name, also in the cache.
        hostname: What it calls itself, and answers.
        make_boot: Makes its boot disk: gets a directory to work in and the
            image to make, returns its size in bytes.
        nics: Its NICs, with the addresses that they have unless a way is named.
        rooms: Files (`__file__`) of what it is made from, beside what all guests are.
        firmware: "bios" or "uefi".
        controller: What its boot disk hangs on: "pvscsi" or "sata".
        memory_mb: Its memory.
        ways: Its network configurations, when it holds several.
    """
    sources = [Path(str(room.__file__)) for room in _ROOMS]
    place = keyed(name, Path(__file__), *sources, *(Path(room) for room in rooms))

    def make(work: Path) -> None:
        raw, vmdk = work / "boot.raw", work / "boot.vmdk"
        capacity = make_boot(work, raw)
        stream_optimized.write(raw, vmdk, form="esxi")
        ordinary = debian_bios.build()
        data = Disk(
            vmdk=work / "data.vmdk",
            raw=work / "data.raw",
            capacity=ordinary.data.capacity,
            form=ordinary.data.form,
        )
        os.link(ordinary.data.vmdk, data.vmdk)
        os.link(ordinary.data.raw, data.raw)
        guest.save(
            Guest(
                name=name,
                hostname=hostname,
                directory=work,
                firmware=firmware,
                guest_id=ordinary.guest_id,
                guest_full_name=ordinary.guest_full_name,
                cpu=1,
                memory_mb=memory_mb,
                boot=Disk(vmdk=vmdk, raw=raw, capacity=capacity, form="esxi"),
                data=data,
                nics=tuple(nics),
                login_pattern=rf"{hostname} login:",
                answer_port=system.ANSWER_PORT,
                answer_line=hostname,
                data_mount=DATA_MOUNT,
                data_files=ordinary.data_files,
                controller=controller,
                ways=tuple(ways),
            )
        )

    return guest.load(built(place, make))


def unpack(
    work: Path,
    packages: Sequence[str],
    hostname: str,
    fstab: str,
    *,
    command_line: str = system.CONSOLE,
    terminal: str = "serial console",
) -> Path:
    """Return a tree below a directory: Debian, with the identity and services of a guest.

    Args:
        work: The directory.
        packages: What the guest has beyond Debian's base.
        hostname: The guest's name.
        fstab: Its lines of /etc/fstab.
        command_line: What update-grub gives the kernel beside root=.
        terminal: GRUB's terminals.
    """
    tree = work / "root"
    debian.unpack(debian.base(packages), tree)
    system.identify(tree, hostname)
    system.configure_services(tree)
    facts.install(tree, DATA_MOUNT)
    heading = "# <file system> <mount point> <type> <options> <dump> <pass>\n"
    system.write(tree, "/etc/fstab", heading + fstab)
    text = _DEFAULT_GRUB.format(command_line=command_line, terminal=terminal)
    system.write(tree, "/etc/default/grub", text)
    (tree / DATA_MOUNT.lstrip("/")).mkdir(parents=True)
    return tree


def grub_menu(
    tree: Path,
    *,
    modules: Sequence[str],
    root: str,
    disk_name: str = "hd0,msdos1",
    boot: str = "/boot",
    command_line: str = system.CONSOLE,
    terminal: str = "serial console",
) -> str:
    """Return grub.cfg as update-grub would write it, which can't probe a tree without a disk.

    Args:
        tree: The guest's tree.
        modules: GRUB's modules for the disk that holds the kernel.
        root: The kernel's root= and what belongs to it.
        disk_name: GRUB's name of the disk that holds the kernel.
        boot: Where the kernel lies on that disk.
        command_line: What the kernel gets besides.
        terminal: GRUB's terminals.
    """
    return _GRUB_MENU.format(
        terminal=terminal,
        modules="\n".join(f"  insmod {module}" for module in modules),
        disk=disk_name,
        version=debian.kernel_version(tree),
        boot=boot,
        root=root,
        command_line=command_line,
    )


def identifier(name: str) -> str:
    """Return the UUID of a filesystem, the same at every build."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
