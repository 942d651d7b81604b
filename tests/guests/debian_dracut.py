# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest laid out as RHEL and Rocky install themselves, of Debian's packages.

Root and swap on LVM, the root filesystem and a separate /boot of XFS, fstab and
the kernel's command line as Anaconda writes them, an initramfs of dracut's for
the machine it was installed on, and NetworkManager's keyfiles, by name. Nothing
of it names a controller: it is the initramfs alone that strands it on virtio.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import (
    assemble,
    debian,
    disk,
    lvm,
    mounted,
    namespace,
    system,
    ways,
)
from ansible_collections.hypersdk.hyper2kvm.tests.guests.disk import MIB, Partition
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest

NAME, HOSTNAME = "debian-dracut", "rhel01"
WAY = ways.way("nm-name")
# dracut-core is the program; Debian's package dracut is the hook for new kernels.
PACKAGES = (
    *("dbus", "dracut-core", "grub-pc", "libpam-systemd", "lvm2", "network-manager", "xfsprogs"),
)
CAPACITY = 2304 * MIB
ROOT = "/dev/mapper/rhel-root"

_BOOT = Partition(offset=MIB, size=384 * MIB, bootable=True)
_PHYSICAL = Partition(offset=385 * MIB, size=CAPACITY - 385 * MIB, kind=0x8E)
_VOLUMES = {"root": 1792, "swap": 64}
_BOOT_UUID = assemble.identifier(f"boot.{NAME}")
_FSTAB = f"""\
{ROOT} / xfs defaults 0 0
UUID={_BOOT_UUID} /boot xfs defaults 0 0
/dev/mapper/rhel-swap none swap defaults 0 0
{assemble.DATA_LINE}"""
_COMMAND_LINE = (
    f"resume=/dev/mapper/rhel-swap rd.lvm.lv=rhel/root rd.lvm.lv=rhel/swap {system.CONSOLE}"
)
# What RHEL 9's mkfs.xfs makes, whatever the building machine's does: its GRUB and kernel know it.
_MKFS = ("mkfs.xfs", "-q", "-m", "bigtime=0,inobtcount=0", "-i", "nrext64=0")

# RHEL's /usr/lib/dracut/dracut.conf.d/01-dist.conf, as far as it decides what comes in. The
# compression is the tests': under emulation a rebuild spends most of its time on the usual level.
_CONFIGURATION = """\
hostonly="yes"
hostonly_cmdline="no"
compress="gzip -1"
"""
# The parts and drivers that such a dracut puts in on VMware's hardware: what it would find there
# has to be named, since the building machine has other hardware.
_PARTS = (
    *("bash", "systemd", "systemd-initrd", "dracut-systemd", "kernel-modules", "dm", "lvm"),
    *("rootfs-block", "resume", "udev-rules", "usrmount", "base", "fs-lib", "shutdown"),
)
_DRIVERS = (
    *("xfs", "crc32c_generic", "crc32c_intel", "dm_mod", "dm_snapshot", "sd_mod", "mptspi"),
    *("mptsas", "vmxnet3", "vmw_pvscsi"),
)


def build() -> Guest:
    """Return the guest, built into the cache if it is not there."""
    return assemble.build(
        *(NAME, HOSTNAME, _make_boot),
        nics=WAY.nics,
        rooms=(lvm.__file__, mounted.__file__, ways.__file__, __file__),
        memory_mb=768,
    )


def _make_boot(work: Path, raw: Path) -> int:
    tree = assemble.unpack(work, PACKAGES, HOSTNAME, _FSTAB, command_line=_COMMAND_LINE)
    ways.configure(tree, [WAY.name])
    _make_initramfs(tree)
    disk.install_grub_files(
        tree, directory="/grub", modules=("biosdisk", "part_msdos", "xfs", "normal")
    )
    menu = assemble.grub_menu(
        tree,
        modules=["part_msdos", "xfs"],
        root=ROOT,
        boot="",
        command_line=_COMMAND_LINE,
    )
    system.write(tree, "/boot/grub/grub.cfg", menu)

    disk.write_partition_table(raw, CAPACITY, 0x0B1A0050, [_BOOT, _PHYSICAL])
    disk.write_grub(raw, tree)
    boot = work / "boot"
    (tree / "boot").rename(boot)
    (tree / "boot").mkdir()
    mounted.make_filesystem(raw, _BOOT, boot, [*_MKFS, "-m", f"uuid={_BOOT_UUID}"])
    volumes = lvm.make_volumes(raw, _PHYSICAL, "rhel", _VOLUMES, swap="swap")
    uuid = assemble.identifier(f"root.{NAME}")
    mounted.make_filesystem(raw, volumes["root"], tree, [*_MKFS, "-m", f"uuid={uuid}"])
    debian.remove(tree)
    debian.remove(boot)
    return CAPACITY


def _make_initramfs(tree: Path) -> None:
    """Have dracut in the place of initramfs-tools, and make its initramfs for VMware's hardware."""
    # The kernel's package wants some program that makes an initramfs; which, is not its matter.
    purge = "dpkg --purge --force-depends initramfs-tools initramfs-tools-core"
    namespace.run_inside(tree, purge, seconds=120)
    shutil.rmtree(tree / "etc/initramfs-tools", ignore_errors=True)
    system.write(tree, "/etc/dracut.conf.d/01-dist.conf", _CONFIGURATION)
    version = debian.kernel_version(tree)
    namespace.run_inside(
        tree,
        f"dracut -f --no-hostonly -m '{' '.join(_PARTS)}' --drivers '{' '.join(_DRIVERS)}'"
        f" /boot/initrd.img-{version} {version}",
        seconds=600,
    )
