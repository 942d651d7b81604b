# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disks that stand for the conversion host's own, under the names that a guest's have in libguestfs.

They are loop devices, seen as /dev/sda1, /dev/sda2, … in a mount namespace only: its /dev is made
anew, so that no real disk of the machine is in there.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

_CHARACTER_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


@dataclass(frozen=True)
class HostDisks:
    """Filesystems that no conversion may touch; images in the order of /dev/sda1, /dev/sda2, …"""

    images: tuple[Path, ...]
    loops: tuple[str, ...]

    @property
    def prefix(self) -> list[str]:
        """What goes in front of a command that is to see them."""
        return [
            *("unshare", "--mount", "--propagation", "private"),
            *(sys.executable, __file__, *self.loops, "--"),
        ]

    def digests(self) -> list[str]:
        """Return each disk's digest, as it is on the loop device."""
        digests = []
        for loop in self.loops:
            with open(loop, "rb") as device:
                digests.append(hashlib.file_digest(device, "sha256").hexdigest())
        return digests


def make_filesystems(directory: Path) -> list[Path]:
    """Make an XFS, an ext4 that was not unmounted, and a btrfs, each as small as its tool makes it."""
    directory.mkdir()
    xfs, ext4, btrfs = (directory / name for name in ("xfs", "ext4", "btrfs"))
    for path, size in ((xfs, 300), (ext4, 16), (btrfs, 128)):
        with path.open("wb") as file:
            file.truncate(size << 20)
    for command in (
        ["mkfs.xfs", "-q", str(xfs)],
        ["mkfs.ext4", "-q", "-F", str(ext4)],
        ["debugfs", "-w", "-R", "set_super_value state 0", str(ext4)],
        ["mkfs.btrfs", "-q", str(btrfs)],
    ):
        subprocess.run(command, check=True, capture_output=True)
    return [xfs, ext4, btrfs]


@contextmanager
def attached(images: Sequence[Path]) -> Iterator[HostDisks]:
    """Attach images to loop devices until the block ends."""
    with ExitStack() as stack:
        loops = []
        for image in images:
            made = subprocess.run(
                ["losetup", "--find", "--show", image], check=True, capture_output=True, text=True
            )
            loops.append(made.stdout.strip())
            stack.callback(subprocess.run, ["losetup", "--detach", loops[-1]], check=True)
        yield HostDisks(tuple(images), tuple(loops))


def _enter(loops: Sequence[str], command: Sequence[str]) -> None:
    """Make /dev anew in this mount namespace, and become *command*."""
    numbers = {name: os.stat(f"/dev/{name}").st_rdev for name in _CHARACTER_DEVICES}
    blocks = [os.stat(loop).st_rdev for loop in loops]
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", "/dev"], check=True)
    os.umask(0)
    for name, number in numbers.items():
        os.mknod(f"/dev/{name}", stat.S_IFCHR | 0o666, number)
    for index, number in enumerate(blocks, start=1):
        os.mknod(f"/dev/sda{index}", stat.S_IFBLK | 0o660, number)
    os.mkdir("/dev/shm", 0o1777)
    os.umask(0o022)
    os.execvp(command[0], list(command))


if __name__ == "__main__":
    separator = sys.argv.index("--")
    _enter(sys.argv[1:separator], sys.argv[separator + 1 :])
