# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of several roots is the guest's; that libguestfs finds them is for the guests to show."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.appliance import (
    System,
    find_system,
    mount_guest,
)
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


class Mounting:
    """Libguestfs' handle with a guest that has this fstab, and the directories of all mounts."""

    def __init__(self, fstab: str) -> None:
        self.fstab = fstab.encode()
        self.mounted: dict[str, str] = {}

    def mount(self, device: str, place: str) -> None:
        self.mounted[place] = device

    def is_dir(self, _path: str, **_options: Any) -> bool:
        return True

    def is_file(self, path: str, **_options: Any) -> bool:
        return path == "/etc/fstab"

    def statns(self, _path: str) -> dict[str, int]:
        return {"st_mode": 0o100644, "st_size": len(self.fstab)}

    def read_file(self, _path: str) -> bytes:
        return self.fstab


@pytest.mark.parametrize(("kept", "var"), [(True, "/dev/sdb1"), (False, "/dev/sda1")])
def test_what_is_mounted_goes_by_the_fstab_of_before(kept: bool, var: str) -> None:
    # FIX took /dev/sdb1 for the boot disk's partition, and wrote the UUID of /boot.
    storage = Storage(
        [
            Volume("/dev/sda1", "ext4", uuid="boot-uuid", last_mounted="/boot"),
            Volume("/dev/sda2", "ext4", uuid="root-uuid"),
            Volume("/dev/sdb1", "ext4", uuid="var-uuid", last_mounted="/var"),
        ]
    )
    before = "/dev/sda2 / ext4 rw\nUUID=boot-uuid /boot ext4 rw\n/dev/sdb1 /var ext4 rw\n"
    handle = Mounting("UUID=root-uuid / ext4 rw\nUUID=boot-uuid /var ext4 rw,nofail\n")
    findings, mounted = mount_guest(
        handle,
        System("linux", "/dev/sda2"),
        storage,
        readonly=False,
        fstab=before if kept else None,
    )
    assert findings == []
    assert mounted == handle.mounted
    assert mounted["/var"] == var
    assert mounted.get("/boot") == ("/dev/sda1" if kept else None)
