# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two guests with two NICs and several ways to configure them.

`ways` has all ways, and otherwise the ordinary guest's disk, which hyper2kvm's
FIX gets to boot: so what becomes of the network can be seen after it too.

`modules-list` has three, and an initramfs of MODULES=list whose
/etc/initramfs-tools/modules lists the root filesystem's module last: FIX glues
that line to a comment, rebuilds the initramfs without it, and says success.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import (
    assemble,
    debian,
    debian_bios,
    disk,
    system,
    ways,
)
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest

WAYS, MODULES_LIST = "debian-ways", "debian-modules-list"
PACKAGES = (
    *("dbus", "grub-pc", "isc-dhcp-client", "libpam-systemd", "netplan.io", "network-manager"),
)
CAPACITY = 1792 * disk.MIB
CHOSEN = ("ifupdown-static", "netplan-mac", "networkd-mac")

_ROOT_LAST = (
    *("crc32c_generic", "crc32c_intel", "sd_mod", "mptspi", "mptsas"),
    *("vmxnet3", "vmw_pvscsi", "ext4"),
)


def build_ways() -> Guest:
    """Return the guest with all ways, built into the cache if it is not there."""
    names = ways.ALL
    return assemble.build(
        WAYS,
        "ways01",
        partial(_make_boot, "ways01", names, debian_bios.INITRAMFS_MODULES, list_only=False),
        nics=ways.way(names[0]).nics,
        rooms=(ways.__file__, __file__),
        ways=[ways.way(name) for name in names],
    )


def build_modules_list() -> Guest:
    """Return the guest that lists its modules, built into the cache if it is not there."""
    return assemble.build(
        MODULES_LIST,
        "list01",
        partial(_make_boot, "list01", CHOSEN, _ROOT_LAST, list_only=True),
        nics=ways.way(CHOSEN[0]).nics,
        rooms=(ways.__file__, __file__),
        ways=[ways.way(name) for name in CHOSEN],
    )


def _make_boot(
    hostname: str,
    names: Sequence[str],
    modules: Sequence[str],
    work: Path,
    raw: Path,
    *,
    list_only: bool,
) -> int:
    fstab = f"/dev/sda1 / ext4 errors=remount-ro 0 1\n{assemble.DATA_LINE}"
    tree = assemble.unpack(work, PACKAGES, hostname, fstab)
    ways.configure(tree, names)
    system.make_initramfs(tree, debian.kernel_version(tree), modules, "ext4")
    if list_only:
        system.write(tree, "/etc/initramfs-tools/conf.d/driver-policy", "MODULES=list\n")
    disk.install_grub_files(tree)
    menu = assemble.grub_menu(tree, modules=["part_msdos", "ext2"], root="/dev/sda1")
    system.write(tree, "/boot/grub/grub.cfg", menu)
    partition = disk.whole_disk(CAPACITY, bootable=True)
    disk.write_partition_table(raw, CAPACITY, 0x0B1A0010 + len(names), [partition])
    uuid = assemble.identifier(f"root.{hostname}")
    disk.make_ext4(raw, partition, tree, label="root", uuid=uuid)
    disk.write_grub(raw, tree)
    debian.remove(tree)
    return CAPACITY
