# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest whose root filesystem is on LVM, with a separate /boot."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import (
    assemble,
    debian,
    disk,
    system,
)
from ansible_collections.hypersdk.hyper2kvm.tests.guests.disk import MIB, SECTOR, Partition
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest, Nic
from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import cache_dir

NAME, HOSTNAME = "debian-lvm", "lvm01"
CAPACITY = 1792 * MIB
NICS = (
    Nic("ens192", "00:50:56:8a:40:01", 192, "192.0.2.50/24", "192.0.2.0/24"),
    Nic("ens224", "00:50:56:8a:40:02", 224, "198.51.100.50/24", "198.51.100.0/24"),
)

_BOOT = Partition(offset=MIB, size=192 * MIB, bootable=True)
_PHYSICAL = Partition(offset=193 * MIB, size=CAPACITY - 193 * MIB, kind=0x8E)
_VOLUME_MIB = 1408
_MODULES = (
    *("ext4", "crc32c_generic", "crc32c_intel", "dm_mod", "sd_mod", "mptspi", "mptsas"),
    *("vmxnet3", "vmw_pvscsi"),
)

_MAKE_VOLUME = """
import guestfs, sys
handle = guestfs.GuestFS(python_return_dict=True)
handle.add_drive_opts(sys.argv[1], format="raw")
handle.launch()
handle.pvcreate("/dev/sda2")
handle.vgcreate("vg0", ["/dev/sda2"])
handle.lvcreate("root", "vg0", int(sys.argv[2]))
handle.shutdown()
handle.close()
"""


def build() -> Guest:
    """Return the guest, built into the cache if it is not there."""
    return assemble.build(NAME, HOSTNAME, _make_boot, nics=NICS, rooms=(__file__,))


def _make_boot(work: Path, raw: Path) -> int:
    fstab = "/dev/mapper/vg0-root / ext4 errors=remount-ro 0 1\n"
    fstab += f"/dev/sda1 /boot ext4 defaults 0 2\n{assemble.DATA_LINE}"
    tree = assemble.unpack(work, ("grub-pc", "lvm2"), HOSTNAME, fstab)
    system.configure_ifupdown(tree, NICS, "192.0.2.1")
    system.make_initramfs(tree, debian.kernel_version(tree), _MODULES, "ext4")
    disk.install_grub_files(tree, directory="/grub")
    modules = ["part_msdos", "ext2"]
    menu = assemble.grub_menu(tree, modules=modules, root="/dev/mapper/vg0-root", boot="")
    system.write(tree, "/boot/grub/grub.cfg", menu)

    disk.write_partition_table(raw, CAPACITY, 0x0B1A0020, [_BOOT, _PHYSICAL])
    disk.write_grub(raw, tree)
    boot = work / "boot"
    (tree / "boot").rename(boot)
    (tree / "boot").mkdir()
    uuid = assemble.identifier(f"boot.{NAME}")
    disk.make_ext4(raw, _BOOT, boot, label="boot", uuid=uuid)
    volume = _make_volume(raw)
    disk.make_ext4(raw, volume, tree, label="root", uuid=assemble.identifier(f"root.{NAME}"))
    debian.remove(tree)
    debian.remove(boot)
    return CAPACITY


def _make_volume(raw: Path) -> Partition:
    """Make the volume group and its volume, and return the volume's place on the disk.

    Inside libguestfs' appliance, since the building machine's kernel may have
    no device mapper. A new volume lies in one piece: its filesystem can then be
    made at that place of the plain file.
    """
    # The distribution's own interpreter is the one that has libguestfs' binding.
    argv = ["/usr/bin/python3", "-c", _MAKE_VOLUME, str(raw), str(_VOLUME_MIB)]
    environment = {**os.environ, "LIBGUESTFS_CACHEDIR": str(cache_dir("appliance"))}
    environment.setdefault("LIBGUESTFS_BACKEND", "direct")
    subprocess.run(argv, check=True, env=environment, timeout=600)
    # LVM's metadata is text, in the first MiB of the physical volume.
    with raw.open("rb") as file:
        file.seek(_PHYSICAL.offset)
        text = file.read(MIB).decode("ascii", errors="replace")
    (start,) = set(re.findall(r"pe_start = (\d+)", text))
    (first,) = set(re.findall(r'stripes = \[\s*"pv0", (\d+)\s*\]', text))
    (extent,) = set(re.findall(r"extent_size = (\d+)", text))
    sectors = int(start) + int(first) * int(extent)
    return Partition(offset=_PHYSICAL.offset + sectors * SECTOR, size=_VOLUME_MIB * MIB)
