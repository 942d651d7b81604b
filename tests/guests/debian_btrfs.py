# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest whose root filesystem is btrfs' subvolume @, with @home beside it."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import (
    assemble,
    debian,
    disk,
    mounted,
    system,
)
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest, Nic

NAME, HOSTNAME = "debian-btrfs", "btrfs01"
CAPACITY = 1792 * disk.MIB
NICS = (
    Nic("ens192", "00:50:56:8a:50:01", 192, "192.0.2.60/24", "192.0.2.0/24"),
    Nic("ens224", "00:50:56:8a:50:02", 224, "198.51.100.60/24", "198.51.100.0/24"),
)

_MODULES = (
    *("btrfs", "crc32c_generic", "crc32c_intel", "sd_mod", "mptspi", "mptsas"),
    *("vmxnet3", "vmw_pvscsi"),
)

_FILL = """
btrfs -q subvolume create "$2/@"
btrfs -q subvolume create "$2/@home"
cp -a "$3/." "$2/@/"
"""


def build() -> Guest:
    """Return the guest, built into the cache if it is not there."""
    return assemble.build(NAME, HOSTNAME, _make_boot, nics=NICS, rooms=(mounted.__file__, __file__))


def _make_boot(work: Path, raw: Path) -> int:
    fstab = "/dev/sda1 / btrfs defaults,subvol=@ 0 0\n"
    fstab += f"/dev/sda1 /home btrfs defaults,subvol=@home 0 0\n{assemble.DATA_LINE}"
    tree = assemble.unpack(work, ("btrfs-progs", "grub-pc"), HOSTNAME, fstab)
    system.configure_ifupdown(tree, NICS, "192.0.2.1")
    system.make_initramfs(tree, debian.kernel_version(tree), _MODULES, "btrfs")
    disk.install_grub_files(
        tree, directory="/@/boot/grub", modules=("biosdisk", "part_msdos", "btrfs", "normal")
    )
    menu = assemble.grub_menu(
        tree,
        modules=["part_msdos", "btrfs"],
        root="/dev/sda1 rootflags=subvol=@",
        boot="/@/boot",
    )
    system.write(tree, "/boot/grub/grub.cfg", menu)

    partition = disk.whole_disk(CAPACITY, bootable=True)
    disk.write_partition_table(raw, CAPACITY, 0x0B1A0030, [partition])
    uuid = assemble.identifier(f"root.{NAME}")
    mkfs = ["mkfs.btrfs", "-q", "-L", "root", "-U", uuid]
    mounted.make_filesystem(raw, partition, tree, mkfs, fill=_FILL)
    disk.write_grub(raw, tree)
    debian.remove(tree)
    return CAPACITY
