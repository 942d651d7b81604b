# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest on UEFI: GPT, an ESP with Debian's signed shim and GRUB, ext4.

Its disks hang on SATA, since the firmware has to read them (OVMF knows nothing
of PVSCSI), and the kernel's command line says net.ifnames=0: its NICs are eth0
and eth1. A third one it does not use, and an SSH server, are there for what a
manifest's configuration can put into a guest.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import (
    assemble,
    debian,
    disk,
    esp,
    system,
)
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest, Nic, Way

NAME, HOSTNAME = "debian-uefi", "efi01"
PACKAGES = ("grub-efi-amd64", "grub-efi-amd64-signed", "openssh-server", "shim-signed")
CAPACITY = 1792 * disk.MIB
NICS = (
    Nic("eth0", "00:50:56:8a:30:01", 192, "192.0.2.40/24", "192.0.2.0/24"),
    Nic("eth1", "00:50:56:8a:30:02", 224, "198.51.100.40/24", "198.51.100.0/24"),
    Nic("eth2", "00:50:56:8a:30:03", 256, "", ""),
)
# With the network file of a manifest's configuration, which the third NIC is for.
CONFIGURED = Way(
    name="configured",
    title="`configuration` in the manifest",
    nics=(*NICS[:2], replace(NICS[2], address="203.0.113.40/24", network="203.0.113.0/24")),
)

_MODULES = ("ext4", "crc32c_generic", "crc32c_intel", "sd_mod", "ahci", "vmxnet3", "vmw_pvscsi")
_COMMAND_LINE = f"net.ifnames=0 {system.CONSOLE}"
_VOLUME_ID = "0B1AE5F0"


def build() -> Guest:
    """Return the guest, built into the cache if it is not there."""
    return assemble.build(
        NAME,
        HOSTNAME,
        _make_boot,
        nics=NICS,
        rooms=(esp.__file__, __file__),
        firmware="uefi",
        controller="sata",
        ways=(CONFIGURED,),
    )


def _make_boot(work: Path, raw: Path) -> int:
    fstab = "/dev/sda2 / ext4 errors=remount-ro 0 1\n"
    fstab += f"/dev/sda1 /boot/efi vfat umask=0077 0 1\n{assemble.DATA_LINE}"
    tree = assemble.unpack(
        work, PACKAGES, HOSTNAME, fstab, command_line=_COMMAND_LINE, terminal="console"
    )
    # It takes away /run/nologin, which keeps everybody but root from logging in by SSH.
    (tree / "etc/systemd/system/systemd-user-sessions.service").unlink()
    system.configure_ifupdown(tree, NICS[:2], "192.0.2.1")
    system.make_initramfs(tree, debian.kernel_version(tree), _MODULES, "ext4")
    menu = assemble.grub_menu(
        tree,
        modules=["part_gpt", "ext2"],
        root="/dev/sda2",
        disk_name="hd0,gpt2",
        command_line=_COMMAND_LINE,
        terminal="console",
    )
    system.write(tree, "/boot/grub/grub.cfg", menu)
    (tree / "boot/efi").mkdir(exist_ok=True)
    esp.write_partition_table(raw, CAPACITY, NAME)
    uuid = assemble.identifier(f"root.{NAME}")
    esp.write_esp(raw, tree, uuid, _VOLUME_ID)
    disk.make_ext4(raw, esp.root_partition(CAPACITY), tree, label="root", uuid=uuid)
    debian.remove(tree)
    return CAPACITY
