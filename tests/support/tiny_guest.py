# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A disk with just as much of a Linux system on it as hyper2kvm's FIX takes for one. It boots nowhere."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

_DIRECTORIES = ("bin", "boot/grub", "etc/default", "lib/modules", "root", "tmp", "usr/bin", "var")
_FILES = {
    "etc/fstab": "/dev/sda1 / ext4 defaults 0 1\n",
    "etc/hostname": "tiny\n",
    "etc/os-release": 'ID=debian\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\n',
    "etc/debian_version": "12.5\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
}
_MIB = 1 << 20


def make(disk: Path, files: Mapping[str, str], links: Mapping[str, str]) -> None:
    """Write the disk.

    Args:
        disk: The raw image; a directory of its name with ".root" is made beside it.
        files: Further files by their path in the guest, without a leading slash.
        links: Symbolic links by their path, and where they lead; they take the place of a file.
    """
    root = disk.with_suffix(".root")
    for directory in _DIRECTORIES:
        (root / directory).mkdir(parents=True)
    for name, content in {**_FILES, **files}.items():
        if name not in links:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content, encoding="utf-8")
    for name, target in links.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)
    with disk.open("wb") as file:
        file.truncate(66 * _MIB)
    table = "label: dos\nstart=1MiB,size=64MiB,type=83\n"
    subprocess.run(["sfdisk", "-q", disk], input=table, text=True, check=True)
    make_filesystem = ["mkfs.ext4", "-q", "-F", "-E", f"offset={_MIB}", "-d", str(root)]
    subprocess.run([*make_filesystem, str(disk), "64M"], check=True, capture_output=True)
