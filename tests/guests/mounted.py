# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make filesystems that only the kernel can fill: by mounting them for a moment.

In a mount namespace, which takes the mount and its loop device with it whatever
happens.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import namespace
from ansible_collections.hypersdk.hyper2kvm.tests.guests.disk import MIB, Partition


def make_filesystem(
    raw: Path,
    partition: Partition,
    tree: Path,
    mkfs: Sequence[str],
    *,
    fill: str = 'cp -a "$3/." "$2/"',
) -> None:
    """Make a filesystem in a place of a disk, holding a copy of a tree.

    Args:
        raw: The disk.
        partition: The place, in whole MiB.
        tree: The tree.
        mkfs: What makes the filesystem; it gets the file's path besides.
        fill: Shell commands that copy the tree ($3) into the mounted filesystem ($2).
    """
    image, mount = raw.with_suffix(".filesystem"), raw.with_suffix(".mounted")
    with image.open("xb") as file:
        file.truncate(partition.size)
    mount.mkdir()
    subprocess.run([*mkfs, str(image)], check=True, stdin=subprocess.DEVNULL)
    script = f'mount -o loop "$1" "$2"\n{fill}\numount "$2"'
    argv = ["sh", "-ec", script, "sh", str(image), str(mount), str(tree)]
    namespace.run(argv, seconds=300)
    mount.rmdir()
    argv = ["dd", f"if={image}", f"of={raw}", "bs=1M", "conv=notrunc,sparse", "status=none"]
    subprocess.run([*argv, f"seek={partition.offset // MIB}"], check=True)
    image.unlink()
