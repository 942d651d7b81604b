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
    HiddenRoot,
    SubvolumeError,
    hidden_root,
    hide,
    mount,
    named_for_good,
    show,
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

    def __init__(self, default: int = 5) -> None:
        self.mounted: list[tuple[str, ...]] = []
        self.default = default
        self.is_writable = True

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

    def umount_all(self) -> None:
        self.mounted.append(("unmounted",))

    def btrfs_subvolume_show(self, path: str) -> dict[str, str]:
        assert path == "/"
        return {"Name": "root", "Subvolume ID": "257"}

    def btrfs_subvolume_get_default(self, path: str) -> int:
        assert path == "/"
        return self.default

    def btrfs_subvolume_set_default(self, number: int, path: str) -> None:
        assert path == "/"
        if self.is_writable:
            self.default = number


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


ROOT = HiddenRoot("/dev/sda1", "1111", "root", 257, 5, ("/dev/sda1",))


def test_a_root_is_hidden_unless_it_is_the_default_subvolume() -> None:
    name = subvolume("/dev/sda1", "root")
    assert hidden_root(Appliance(), name, STORAGE) == ROOT
    assert hidden_root(Appliance(default=257), name, STORAGE) is None
    assert hidden_root(Appliance(), "/dev/sda1", STORAGE) is None
    assert hidden_root(Appliance(), "/dev/sdb1", STORAGE) is None


def test_a_root_that_was_shown_is_hidden_again() -> None:
    handle = Appliance()
    show(handle, ROOT, STORAGE)
    assert handle.default == 257
    repair = hide(handle, ROOT, STORAGE)
    assert handle.default == 5
    assert "subvolume root the default one" in repair.what
    assert "ID 5" in repair.what
    assert handle.mounted == [("subvol=root", "/dev/sda1", "/"), ("unmounted",)] * 2


def test_a_default_that_does_not_change_is_an_error() -> None:
    handle = Appliance()
    handle.is_writable = False
    with pytest.raises(SubvolumeError, match="is 5, though it was set to 257"):
        show(handle, ROOT, STORAGE)
    assert handle.mounted[-1] == ("unmounted",)


def test_a_filesystem_that_is_not_there_is_an_error() -> None:
    with pytest.raises(SubvolumeError, match="1111 is not on the disks"):
        hide(Appliance(), ROOT, Storage(STORAGE.volumes[1:]))
