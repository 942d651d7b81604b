# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a volume group with its volumes on a disk's partition, and tell where each volume lies.

Inside libguestfs' appliance, since the building machine's kernel may have no
device mapper. A new volume lies in one piece, behind the one made before it:
its filesystem can then be made at that place of the plain file.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests.disk import MIB, SECTOR, Partition
from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import cache_dir

_MAKE = """
import guestfs, json, sys
image, group, volumes, swap = sys.argv[1:]
handle = guestfs.GuestFS(python_return_dict=True)
handle.add_drive_opts(image, format="raw")
handle.launch()
handle.pvcreate("/dev/sda2")
handle.vgcreate(group, ["/dev/sda2"])
for name, mebibytes in json.loads(volumes).items():
    handle.lvcreate(name, group, mebibytes)
if swap:
    handle.mkswap(f"/dev/{group}/{swap}")
handle.shutdown()
handle.close()
"""


def make_volumes(
    raw: Path, physical: Partition, group: str, volumes: Mapping[str, int], *, swap: str = ""
) -> dict[str, Partition]:
    """Make a volume group on a disk's second partition.

    Args:
        raw: The disk, with its partition table.
        physical: That partition.
        group: The volume group's name.
        volumes: The size in MiB of each volume, by its name.
        swap: The volume that is made swap space.

    Returns:
        Where on the disk each volume lies.
    """
    # The distribution's own interpreter is the one that has libguestfs' binding.
    argv = ["/usr/bin/python3", "-c", _MAKE, str(raw), group, json.dumps(volumes), swap]
    environment = {**os.environ, "LIBGUESTFS_CACHEDIR": str(cache_dir("appliance"))}
    environment.setdefault("LIBGUESTFS_BACKEND", "direct")
    subprocess.run(argv, check=True, env=environment, timeout=600)
    # LVM's metadata is text, in the first MiB of the physical volume; every state has a copy.
    with raw.open("rb") as file:
        file.seek(physical.offset)
        text = file.read(MIB).decode("ascii", errors="replace")
    (start,) = set(re.findall(r"pe_start = (\d+)", text))
    (extent,) = set(re.findall(r"extent_size = (\d+)", text))
    firsts = sorted({int(first) for first in re.findall(r'stripes = \[\s*"pv0", (\d+)\s*\]', text)})
    return {
        name: Partition(
            offset=physical.offset + (int(start) + first * int(extent)) * SECTOR, size=size * MIB
        )
        for (name, size), first in zip(volumes.items(), firsts, strict=True)
    }
