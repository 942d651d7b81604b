# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make disks that UEFI boots from on plain files: GPT, and an EFI system partition.

The kernel of the building machine may know no vfat, so the partition's
filesystem is made and filled by mkfs.vfat and mtools, which need none.
"""

from __future__ import annotations

import os
import subprocess
import uuid
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests.disk import MIB, SECTOR, Partition

ESP = Partition(offset=MIB, size=64 * MIB)
# Secure Boot's first link, and what it loads from its own directory.
_SHIM = "usr/lib/shim/shimx64.efi.signed"
_GRUB = "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"


def root_partition(capacity: int) -> Partition:
    """Return the partition behind the ESP, up to the backup of the GPT."""
    start = ESP.offset + ESP.size
    return Partition(offset=start, size=capacity - start - MIB)


def write_partition_table(image: Path, capacity: int, name: str) -> None:
    """Make a sparse image with a GPT: the ESP and the root filesystem's partition.

    Args:
        image: The file to make.
        capacity: The disk's size in bytes.
        name: What the disk's and the partitions' identifiers are derived from.
    """
    root = root_partition(capacity)
    script = f"label: gpt\nlabel-id: {_identifier(f'disk.{name}')}\nunit: sectors\n"
    for number, (partition, kind) in enumerate(((ESP, "uefi"), (root, "linux")), 1):
        script += (
            f"start={partition.offset // SECTOR}, size={partition.size // SECTOR}, type={kind},"
            f" uuid={_identifier(f'partition{number}.{name}')}\n"
        )
    with image.open("xb") as disk:
        disk.truncate(capacity)
    argv = ["sfdisk", "--quiet", "--no-tell-kernel", str(image)]
    subprocess.run(argv, input=script, text=True, check=True)


def write_esp(image: Path, tree: Path, root_uuid: str, volume_id: str) -> None:
    """Fill a disk's ESP with a tree's signed shim and GRUB, also at the removable media's path.

    Args:
        image: The disk.
        tree: The guest's tree, with Debian's signed loaders.
        root_uuid: UUID of the filesystem that holds /boot/grub.
        volume_id: The vfat's identifier, eight hex digits.
    """
    esp = image.with_suffix(".esp")
    stub = image.with_suffix(".grub.cfg")
    stub.write_text(
        f"search.fs_uuid {root_uuid} root hd0,gpt2\n"
        "set prefix=($root)'/boot/grub'\n"
        "configfile $prefix/grub.cfg\n",
        encoding="utf-8",
    )
    with esp.open("xb") as file:
        file.truncate(ESP.size)
    environment = {**os.environ, "MTOOLS_SKIP_CHECK": "1", "SOURCE_DATE_EPOCH": "1700000000"}
    for argv in (
        ["mkfs.vfat", "-F", "32", "-n", "EFI", "-i", volume_id, str(esp)],
        ["mmd", "-i", str(esp), "::/EFI", "::/EFI/BOOT", "::/EFI/debian"],
        ["mcopy", "-i", str(esp), str(tree / _SHIM), "::/EFI/BOOT/BOOTX64.EFI"],
        ["mcopy", "-i", str(esp), str(tree / _GRUB), "::/EFI/BOOT/grubx64.efi"],
        ["mcopy", "-i", str(esp), str(tree / _SHIM), "::/EFI/debian/shimx64.efi"],
        ["mcopy", "-i", str(esp), str(tree / _GRUB), "::/EFI/debian/grubx64.efi"],
        ["mcopy", "-i", str(esp), str(stub), "::/EFI/debian/grub.cfg"],
    ):
        subprocess.run(argv, check=True, env=environment, stdout=subprocess.DEVNULL)
    with image.open("r+b") as disk, esp.open("rb") as file:
        disk.seek(ESP.offset)
        while piece := file.read(MIB):
            if piece.count(0) == len(piece):
                disk.seek(len(piece), os.SEEK_CUR)  # stays sparse
            else:
                disk.write(piece)
    esp.unlink()
    stub.unlink()


def _identifier(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
