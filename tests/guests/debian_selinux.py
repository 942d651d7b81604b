# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest that enforces an SELinux policy: Debian's default one, every file labelled.

A file that is written without its label is one that this guest's programs may
not read. It tells the labels of what a conversion writes to on its console. A
module of the guest's own lets the service of the tests listen, as whoever runs
a service on a port of his own has to add one.
"""

from __future__ import annotations

from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import (
    assemble,
    debian,
    debian_bios,
    disk,
    namespace,
    system,
)
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest, Nic

NAME, HOSTNAME = "debian-selinux", "label01"
PACKAGES = ("grub-pc", "policycoreutils", "selinux-policy-default", "selinux-utils")
CAPACITY = 1792 * disk.MIB
NICS = (
    Nic("ens192", "00:50:56:8a:60:01", 192, "192.0.2.70/24", "192.0.2.0/24"),
    Nic("ens224", "00:50:56:8a:60:02", 224, "198.51.100.70/24", "198.51.100.0/24"),
)
#: What a conversion writes to: the guest tells the label of each.
LABELLED = (
    "/etc/fstab",
    "/etc/default/grub",
    "/etc/initramfs-tools/modules",
    "/etc/network/interfaces",
    "/etc/systemd/network",
    "/boot/grub/grub.cfg",
)

# systemd labels the socket as the program that it starts: hostname(1), which has no business
# in a network. CIL: https://github.com/SELinuxProject/selinux/tree/main/secilc/docs
_POLICY_MODULE = """\
(allow hostname_t unreserved_port_t (tcp_socket (name_bind)))
(allow hostname_t node_t (tcp_socket (node_bind)))
(allow hostname_t self (tcp_socket (getattr getopt ioctl read shutdown write)))
(allow init_t hostname_t (tcp_socket
    (accept bind create getattr getopt ioctl listen read setopt shutdown write)))
"""
_COMMAND_LINE = f"security=selinux {system.CONSOLE}"


def build() -> Guest:
    """Return the guest, built into the cache if it is not there."""
    return assemble.build(NAME, HOSTNAME, _make_boot, nics=NICS, rooms=(__file__,), memory_mb=768)


def _make_boot(work: Path, raw: Path) -> int:
    fstab = f"/dev/sda1 / ext4 errors=remount-ro 0 1\n{assemble.DATA_LINE}"
    tree = assemble.unpack(work, PACKAGES, HOSTNAME, fstab, command_line=_COMMAND_LINE)
    system.configure_ifupdown(tree, NICS, "192.0.2.1")
    version = debian.kernel_version(tree)
    system.make_initramfs(tree, version, debian_bios.INITRAMFS_MODULES, "ext4")
    system.write(tree, "/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=default\n")
    system.write(tree, "/etc/facts-labels", "".join(f"{path}\n" for path in LABELLED))
    system.write(tree, "/usr/local/share/selinux/answer.cil", _POLICY_MODULE)
    namespace.run_inside(
        tree, "semodule -n -s default -i /usr/local/share/selinux/answer.cil", seconds=600
    )
    disk.install_grub_files(tree)
    menu = assemble.grub_menu(
        tree, modules=["part_msdos", "ext2"], root="/dev/sda1", command_line=_COMMAND_LINE
    )
    system.write(tree, "/boot/grub/grub.cfg", menu)
    # Last: what is written after it has no label.
    contexts = "/etc/selinux/default/contexts/files/file_contexts"
    namespace.run_inside(tree, f"setfiles -F -e /proc {contexts} /", seconds=300)

    partition = disk.whole_disk(CAPACITY, bootable=True)
    disk.write_partition_table(raw, CAPACITY, 0x0B1A0040, [partition])
    uuid = assemble.identifier(f"root.{NAME}")
    disk.make_ext4(raw, partition, tree, label="root", uuid=uuid)
    disk.write_grub(raw, tree)
    debian.remove(tree)
    return CAPACITY
