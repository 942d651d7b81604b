# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make disks on plain files: partition table, filesystem from a tree, GRUB.

No loop device and no mount: mke2fs fills a filesystem at an offset of the
image, and what GRUB's installer would write is written here. A build that is
killed leaves nothing but a file.
"""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import namespace

SECTOR = 512
MIB = 1 << 20

# Modules in GRUB's own image; the others it loads from /boot/grub.
_GRUB_MODULES = ("biosdisk", "part_msdos", "part_gpt", "ext2", "normal")

# The features of Debian 12's mke2fs, whatever the building machine's default
# is: the guest's GRUB and kernel must know them all.
_MKE2FS_CONFIGURATION = """\
[defaults]
    base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
    default_mntopts = acl,user_xattr
    enable_periodic_fsck = 0
    blocksize = 4096
    inode_size = 256
    inode_ratio = 16384
[fs_types]
    ext4 = {
        features = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
    }
    small = {
    }
"""


@dataclass(frozen=True)
class Partition:
    """A place on a disk, in bytes."""

    offset: int
    size: int
    bootable: bool = False
    kind: int = 0x83  # Linux; 0x8E for LVM


def whole_disk(capacity: int, *, bootable: bool = False) -> Partition:
    """Return the one partition that fills a disk of this size, aligned to 1 MiB."""
    return Partition(offset=MIB, size=capacity - MIB, bootable=bootable)


def write_partition_table(
    image: Path, capacity: int, signature: int, partitions: Sequence[Partition]
) -> None:
    """Make a sparse image with an MBR partition table of Linux partitions.

    Args:
        image: The file to make.
        capacity: The disk's size in bytes.
        signature: The disk's 32-bit signature (PTUUID).
        partitions: At most four.
    """
    entries = b"".join(
        struct.pack(
            "<B3sB3sII",
            0x80 if partition.bootable else 0,
            b"\xfe\xff\xff",  # no cylinders, heads, sectors: use the numbers below
            partition.kind,
            b"\xfe\xff\xff",
            partition.offset // SECTOR,
            partition.size // SECTOR,
        )
        for partition in partitions
    )
    with image.open("xb") as disk:
        disk.truncate(capacity)
        disk.seek(440)
        disk.write(struct.pack("<I2x", signature) + entries.ljust(64, b"\0") + b"\x55\xaa")


def make_ext4(image: Path, partition: Partition, tree: Path, *, label: str, uuid: str) -> None:
    """Make an ext4 filesystem in a partition, holding a copy of a tree."""
    configuration = image.with_suffix(".mke2fs.conf")
    configuration.write_text(_MKE2FS_CONFIGURATION, encoding="utf-8")
    extended = (
        f"offset={partition.offset},lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0,"
        f"hash_seed={uuid}"
    )
    argv = ["mke2fs", "-q", "-F", "-t", "ext4", "-m", "1", "-L", label, "-U", uuid]
    argv += ["-E", extended, "-d", str(tree), str(image), f"{partition.size // 1024}k"]
    subprocess.run(
        argv,
        check=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "MKE2FS_CONFIG": str(configuration)},
    )
    configuration.unlink()


def install_grub_files(
    tree: Path, *, directory: str = "/boot/grub", modules: Sequence[str] = _GRUB_MODULES
) -> None:
    """Put into a tree's /boot/grub what grub-install does, with the tree's own GRUB.

    Args:
        tree: The guest's tree.
        directory: Where GRUB finds that on the first partition of the first disk.
        modules: Those in core.img, enough to read that directory.
    """
    namespace.run_inside(
        tree,
        "mkdir -p /boot/grub/i386-pc\n"
        "cp /usr/lib/grub/i386-pc/*.mod /usr/lib/grub/i386-pc/*.lst /usr/lib/grub/i386-pc/boot.img"
        " /boot/grub/i386-pc/\n"
        f"grub-mkimage -O i386-pc -p '(hd0,msdos1){directory}' -o /boot/grub/i386-pc/core.img "
        + " ".join(modules),
        seconds=120,
    )


def write_grub(image: Path, tree: Path) -> None:
    """Write a tree's GRUB to its disk: boot.img into the MBR, core.img behind it.

    core.img is built to lie at sector 1, and its first sector to load the rest
    from sector 2 on, which is what both images say unless an installer tells
    them otherwise. The one patch is grub-bios-setup's for hard disks: trust the
    drive number that the BIOS hands over (two NOPs instead of a jump).
    """
    boot = bytearray((tree / "boot/grub/i386-pc/boot.img").read_bytes()[:440])
    core = (tree / "boot/grub/i386-pc/core.img").read_bytes()
    if len(core) > MIB - SECTOR:
        raise ValueError(f"core.img of {len(core)} bytes does not fit before the partition.")
    boot[0x66:0x68] = b"\x90\x90"
    with image.open("r+b") as disk:
        disk.write(boot)
        disk.seek(SECTOR)
        disk.write(core)
