# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests whose root filesystem is a subvolume of btrfs, laid out as three distributions do.

Ubuntu's and Debian's subvolumes are @ and @home; Fedora's are root and home; openSUSE's root is
the filesystem's default subvolume, a snapshot, and fstab's line for it names none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import (
    assemble,
    debian,
    disk,
    mounted,
    system,
)
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest, Nic

CAPACITY = 1792 * disk.MIB
NICS = (
    Nic("ens192", "00:50:56:8a:50:01", 192, "192.0.2.60/24", "192.0.2.0/24"),
    Nic("ens224", "00:50:56:8a:50:02", 224, "198.51.100.60/24", "198.51.100.0/24"),
)

_MODULES = (
    *("btrfs", "crc32c_generic", "crc32c_intel", "sd_mod", "mptspi", "mptsas"),
    *("vmxnet3", "vmw_pvscsi"),
)


@dataclass(frozen=True)
class _Layout:
    """Where a guest's directories are.

    Attributes:
        name: The guest's name.
        hostname: What it calls itself.
        root: The subvolume of its root.
        mounts: The subvolumes that fstab mounts, by mount point.
        is_default: Whether the root is the filesystem's default subvolume, and so named nowhere.
    """

    name: str
    hostname: str
    root: str
    mounts: Mapping[str, str] = field(default_factory=dict)
    is_default: bool = False

    @property
    def fstab(self) -> str:
        """Its lines for the filesystem."""
        options = "defaults" if self.is_default else f"defaults,subvol={self.root}"
        lines = [f"/dev/sda1 / btrfs {options} 0 0\n"]
        for place, subvolume in self.mounts.items():
            lines.append(f"/dev/sda1 {place} btrfs defaults,subvol={subvolume} 0 0\n")
        return "".join(lines)

    @property
    def command_line(self) -> str:
        """What the kernel is told of the root."""
        return "/dev/sda1" if self.is_default else f"/dev/sda1 rootflags=subvol={self.root}"

    @property
    def fill(self) -> str:
        """Shell commands that copy a tree ($3) into the mounted filesystem ($2)."""
        subvolumes: list[str] = []
        for path in (self.root, *self.mounts.values()):
            # @/.snapshots/1/snapshot: each but the plain directory 1 is a subvolume.
            parts = path.split("/")
            steps = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
            subvolumes += [
                step for step in steps if not step.endswith("/1") and step not in subvolumes
            ]
        lines = [
            f'mkdir -p "$(dirname "$2/{name}")" && btrfs -q subvolume create "$2/{name}"'
            for name in subvolumes
        ]
        lines.append(f'cp -a "$3/." "$2/{self.root}/"')
        for place, subvolume in self.mounts.items():
            at = f'"$2/{self.root}{place}"'
            lines.append(f"mkdir -p {at}")
            lines.append(f'cp -a {at}/. "$2/{subvolume}/" && find {at} -mindepth 1 -delete')
        if self.is_default:
            lines.append(f'btrfs subvolume set-default "$2/{self.root}"')
        return "\n".join(lines)


_AT = _Layout("debian-btrfs", "btrfs01", "@", {"/home": "@home"})
_FEDORA = _Layout("debian-btrfs-root", "btrfs02", "root", {"/home": "home"})
_SUSE = _Layout(
    "debian-btrfs-snapshot",
    "btrfs03",
    "@/.snapshots/1/snapshot",
    {"/.snapshots": "@/.snapshots", "/home": "@/home", "/var": "@/var"},
    is_default=True,
)
AT, FEDORA, SUSE = (layout.name for layout in (_AT, _FEDORA, _SUSE))


def build() -> Guest:
    """Return the guest with @ and @home, built into the cache if it is not there."""
    return _build(_AT)


def build_fedora() -> Guest:
    """Return the guest with Fedora's names, built into the cache if it is not there."""
    return _build(_FEDORA)


def build_suse() -> Guest:
    """Return the guest with openSUSE's layout, built into the cache if it is not there."""
    return _build(_SUSE)


def _build(layout: _Layout) -> Guest:
    return assemble.build(
        layout.name,
        layout.hostname,
        partial(_make_boot, layout),
        nics=NICS,
        rooms=(mounted.__file__, __file__),
    )


def _make_boot(layout: _Layout, work: Path, raw: Path) -> int:
    fstab = layout.fstab + assemble.DATA_LINE
    tree = assemble.unpack(work, ("btrfs-progs", "grub-pc"), layout.hostname, fstab)
    system.configure_ifupdown(tree, NICS, "192.0.2.1")
    system.make_initramfs(tree, debian.kernel_version(tree), _MODULES, "btrfs")
    # GRUB counts paths from the top level, whichever subvolume is the default one.
    boot = f"/{layout.root}/boot"
    disk.install_grub_files(
        tree, directory=f"{boot}/grub", modules=("biosdisk", "part_msdos", "btrfs", "normal")
    )
    menu = assemble.grub_menu(
        tree, modules=["part_msdos", "btrfs"], root=layout.command_line, boot=boot
    )
    system.write(tree, "/boot/grub/grub.cfg", menu)

    partition = disk.whole_disk(CAPACITY, bootable=True)
    disk.write_partition_table(raw, CAPACITY, 0x0B1A0030, [partition])
    uuid = assemble.identifier(f"root.{layout.name}")
    mkfs = ["mkfs.btrfs", "-q", "-L", "root", "-U", uuid]
    mounted.make_filesystem(raw, partition, tree, mkfs, fill=layout.fill)
    disk.write_grub(raw, tree)
    debian.remove(tree)
    return CAPACITY
