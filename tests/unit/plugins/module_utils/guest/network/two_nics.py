# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest with two NICs, as a directory, for the tests of its network."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import DirectoryFiles
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.interface import Nic

ONE = Nic("nic-0", "00:50:56:8a:20:01", 192, "vmxnet3")
TWO = Nic("nic-1", "00:50:56:8a:20:02", 224, "vmxnet3")
BOTH = (ONE, TWO)
SETUP_LINK = "/usr/lib/udev/rules.d/80-net-setup-link.rules"
PROGRAMS = dict.fromkeys(
    ("/sbin/ifup", "/usr/sbin/NetworkManager", "/usr/lib/systemd/systemd-networkd"), ""
)
NETWORKD = "/etc/systemd/system/multi-user.target.wants/systemd-networkd.service"


def tree(root: Path, contents: dict[str, str]) -> DirectoryFiles:
    """Return a guest in which each manager of networks is there, with these files."""
    files = DirectoryFiles(root)
    for path, content in {SETUP_LINK: "", **PROGRAMS, **contents}.items():
        files.write(path, content.encode())
    files.link("/usr/lib/systemd/system/systemd-networkd.service", NETWORKD)
    return files


def interfaces(*names: str) -> dict[str, str]:
    """Return an /etc/network/interfaces in which each name has an address."""
    text = "".join(
        f"auto {name}\niface {name} inet static\n address 192.0.2.{number}/24\n"
        for number, name in enumerate(names, 10)
    )
    return {"/etc/network/interfaces": text}
