# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest whose root filesystem is on LVM, with a separate /boot, and its NICs in a bond with a VLAN."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import (
    assemble,
    debian,
    disk,
    lvm,
    namespace,
    system,
    ways,
)
from ansible_collections.hypersdk.hyper2kvm.tests.guests.disk import MIB, Partition
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest
from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import cache_dir

NAME, HOSTNAME = "debian-lvm", "lvm01"
CAPACITY = 1792 * MIB
WAY = ways.way("bond-vlan")

_BOOT = Partition(offset=MIB, size=192 * MIB, bootable=True)
_PHYSICAL = Partition(offset=193 * MIB, size=CAPACITY - 193 * MIB, kind=0x8E)
_VOLUMES = {"root": 1408}
_MODULES = (
    *("ext4", "crc32c_generic", "crc32c_intel", "dm_mod", "sd_mod", "mptspi", "mptsas"),
    *("vmxnet3", "vmw_pvscsi"),
)


def build() -> Guest:
    """Return the guest, built into the cache if it is not there."""
    return assemble.build(
        *(NAME, HOSTNAME, _make_boot),
        nics=WAY.nics,
        rooms=(lvm.__file__, ways.__file__, __file__),
        ways=(WAY,),
    )


def _make_boot(work: Path, raw: Path) -> int:
    fstab = "/dev/mapper/vg0-root / ext4 errors=remount-ro 0 1\n"
    fstab += f"/dev/sda1 /boot ext4 defaults 0 2\n{assemble.DATA_LINE}"
    tree = assemble.unpack(work, ("grub-pc", "lvm2"), HOSTNAME, fstab)
    ways.configure(tree, [WAY.name])
    version = debian.kernel_version(tree)
    _add_kernel_modules(tree, version)
    system.make_initramfs(tree, version, _MODULES, "ext4")
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
    volumes = lvm.make_volumes(raw, _PHYSICAL, "vg0", _VOLUMES)
    uuid = assemble.identifier(f"root.{NAME}")
    disk.make_ext4(raw, volumes["root"], tree, label="root", uuid=uuid)
    debian.remove(tree)
    debian.remove(boot)
    return CAPACITY


def _add_kernel_modules(tree: Path, version: str) -> None:
    """Add what the bonding driver needs and Debian's tree for the tests leaves out: net/tls."""
    (package,) = cache_dir("debian-packages").glob(f"linux-image-{version}_*.deb")
    archive = tree.parent / "kernel.tar"
    with archive.open("wb") as file:
        subprocess.run(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=file, check=True)
    pattern = f"./lib/modules/{version}/kernel/net/tls/*"
    argv = ["tar", "-x", "-C", str(tree / "usr"), "-f", str(archive), "--wildcards", pattern]
    subprocess.run(argv, check=True)
    archive.unlink()
    namespace.run_inside(tree, f"depmod {version}", seconds=120)
