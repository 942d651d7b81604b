# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of several roots is the guest's; that libguestfs finds them is for the guests to show."""

from __future__ import annotations

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.appliance import find_system
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.storage import (
    Storage,
    Volume,
)

STORAGE = Storage([Volume("/dev/sda1", "btrfs", uuid="1111"), Volume("/dev/sdb1", "ext4")])


class Appliance:
    """Libguestfs' handle: the roots that it found, each with what its fstab mounts on /."""

    def __init__(self, roots: dict[str, str]) -> None:
        self.roots = roots

    def inspect_os(self) -> list[str]:
        return list(self.roots)

    def inspect_get_mountpoints(self, root: str) -> dict[str, str]:
        return {"/": self.roots[root]} if self.roots[root] else {}

    def inspect_get_type(self, _root: str) -> str:
        return "linux"

    def inspect_get_major_version(self, _root: str) -> int:
        return 12

    inspect_get_minor_version = inspect_get_major_version
    inspect_get_product_name = inspect_get_type
    inspect_get_distro = inspect_get_type
    inspect_get_arch = inspect_get_type

    def vfs_uuid(self, _mountable: str) -> str:
        return "1111"


@pytest.mark.parametrize(
    ("roots", "own"),
    [
        # A copy of the root, whose name tells nothing, and the root.
        (
            {
                "btrfsvol:/dev/sda1/before-update": "btrfsvol:/dev/sda1/root",
                "btrfsvol:/dev/sda1/root": "btrfsvol:/dev/sda1/root",
            },
            "btrfsvol:/dev/sda1/root",
        ),
        # fstab may write the subvolume with a slash in front.
        (
            {
                "btrfsvol:/dev/sda1/@/.snapshots/1/snapshot": "btrfsvol:/dev/sda1//@",
                "btrfsvol:/dev/sda1/@": "btrfsvol:/dev/sda1//@",
            },
            "btrfsvol:/dev/sda1/@",
        ),
        # openSUSE: the default subvolume is a snapshot, and fstab names none.
        (
            {"btrfsvol:/dev/sda1/@/.snapshots/2/snapshot": "/dev/sda1", "/dev/sda1": "/dev/sda1"},
            "/dev/sda1",
        ),
        # Of two systems the one on the first disk.
        ({"/dev/sdb1": "/dev/sdb1", "/dev/sda1": "/dev/sda1"}, "/dev/sda1"),
        # What fstab does not tell.
        ({"/dev/sdb1": "", "btrfsvol:/dev/sda1/root": ""}, "btrfsvol:/dev/sda1/root"),
    ],
)
def test_the_root_is_the_one_that_its_own_fstab_names(roots: dict[str, str], own: str) -> None:
    assert find_system(Appliance(roots), STORAGE).root == own
