# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of subvolumes; that libguestfs mounts them is for the guest on btrfs to show."""

from __future__ import annotations

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.storage import (
    Storage,
    Volume,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.subvolumes import (
    mount,
    named_for_good,
    subvolume,
)

STORAGE = Storage(
    [
        Volume("/dev/sda1", "btrfs", uuid="1111"),
        Volume("/dev/sdb1", "ext4", uuid="2222"),
        Volume("/dev/vg/root", "btrfs", uuid="3333"),
    ]
)


class Appliance:
    """Libguestfs' handle in an appliance whose kernel found the first disk second."""

    def __init__(self) -> None:
        self.mounted: list[tuple[str, ...]] = []

    def vfs_uuid(self, mountable: str) -> str:
        for raw, uuid in (("/dev/sdb1", "1111"), ("/dev/vg/root", "3333"), ("/dev/sdd1", "4444")):
            if mountable.startswith(f"btrfsvol:{raw}/"):
                return uuid
        raise RuntimeError("No such file or directory")

    def mount(self, *arguments: str) -> None:
        self.mounted.append(("rw", *arguments))

    def mount_ro(self, *arguments: str) -> None:
        self.mounted.append(("ro", *arguments))

    def mount_options(self, *arguments: str) -> None:
        self.mounted.append(arguments)


@pytest.mark.parametrize(
    ("name", "lasting"),
    [
        ("btrfsvol:/dev/sdb1/@", "btrfsvol:/dev/sda1/@"),
        ("btrfsvol:/dev/sdb1/@/var/lib", "btrfsvol:/dev/sda1/@/var/lib"),
        ("btrfsvol:/dev/vg/root/@", "btrfsvol:/dev/vg/root/@"),
        ("/dev/sdb1", "/dev/sdb1"),
        # What can't be told is left as it is.
        ("btrfsvol:/dev/sdc1/@", "btrfsvol:/dev/sdc1/@"),
        ("btrfsvol:/dev/sdd1/@", "btrfsvol:/dev/sdd1/@"),
    ],
)
def test_a_subvolume_is_named_by_the_device_that_it_is_on(name: str, lasting: str) -> None:
    assert named_for_good(Appliance(), name, STORAGE) == lasting


def test_subvolumes_and_devices_are_mounted() -> None:
    handle = Appliance()
    root = subvolume("/dev/vg/root", "@/a")
    for readonly in (True, False):
        mount(handle, root, "/", readonly=readonly)
        mount(handle, "/dev/sda2", "/boot", readonly=readonly)
    assert handle.mounted == [
        ("ro,subvol=@/a", "/dev/vg/root", "/"),
        ("ro", "/dev/sda2", "/boot"),
        ("subvol=@/a", "/dev/vg/root", "/"),
        ("rw", "/dev/sda2", "/boot"),
    ]
