# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.storage import (
    Storage,
    Volume,
    device_of,
    disk_name,
    disk_number,
    is_positional,
    stable_name,
    stable_path,
)

ROOT = Volume("/dev/sda1", "ext4", uuid="35cfbf6a-94d2-5572-8279-8375e22fc5a3", label="root disk")
SWAP = Volume("/dev/sda5", "swap", uuid="0a0b")
ESP = Volume("/dev/sda15", "vfat", uuid="AB12-CD34", part_uuid="0b1a0001-0f", part_label="EFI")
DATA = Volume("/dev/sdb1", "ext4", uuid="cf08")
MORE = Volume("/dev/sdc1", "ext4", uuid="dd11", last_mounted="/srv/more")
VOLUME = Volume("/dev/web-vg/root", "xfs", uuid="ee22")
ARRAY = Volume("/dev/md127", "ext4", uuid="ff33")
LUKS = Volume("/dev/sdc2", "crypto_LUKS", uuid="0c0c0c0c-0000-4000-8000-000000000001")
DISKS = [Volume(f"/dev/sd{letter}") for letter in "abc"]
STORAGE = Storage([*DISKS, ROOT, SWAP, ESP, DATA, MORE, VOLUME, ARRAY, LUKS])


@pytest.mark.parametrize(
    ("spec", "volume"),
    [
        ("UUID=35CFBF6A-94d2-5572-8279-8375e22fc5a3", ROOT),
        ('UUID="cf08"', DATA),
        ("LABEL=root\\040disk", ROOT),
        ("/dev/disk/by-label/root\\x20disk", ROOT),
        ("/dev/disk/by-uuid/ab12-cd34", ESP),
        ("PARTUUID=0b1a0001-0F", ESP),
        ("PARTLABEL=EFI", ESP),
        ("/dev/mapper/web--vg-root", VOLUME),
        ("/dev/web-vg/root", VOLUME),
        ("/dev/md0", ARRAY),
        ("UUID=not-there", None),
        ("LABEL=Root disk", None),
        ("/dev/mapper/web--vg-swap", None),
        ("/dev/mapper/luks-0c0c0c0c-0000-4000-8000-000000000001", LUKS),
        ("/dev/other/root", None),
    ],
)
def test_names_that_a_volume_carries_with_it(spec: str, volume: Volume | None) -> None:
    match = STORAGE.find(spec)
    assert match.volume == volume
    assert match.stable
    assert match.is_device


@pytest.mark.parametrize(
    "spec",
    [
        "/dev/mapper/opened",
        "tmpfs",
        "proc",
        "nas:/export",
        "//nas/share",
        "/swapfile",
        "none",
        "/dev/sr0",
        "/dev/cdrom",
    ],
)
def test_what_is_no_device_of_the_vm(spec: str) -> None:
    assert not STORAGE.find(spec).is_device


@pytest.mark.parametrize(
    ("spec", "place", "kind", "volume"),
    [
        ("/dev/sda1", "/", "ext4", ROOT),
        ("/dev/sda5", "none", "swap", SWAP),
        ("/dev/sdb1", "/srv/data", "ext4", DATA),
        ("/dev/nvme0n2p1", "/srv/data", "ext4", DATA),
        ("/dev/nvme1n1p1", "/srv/data", "ext4", DATA),
        ("/dev/nvme1n2p1", "/srv/data", "ext4", None),
        ("/dev/mapper/mpatha-part1", "/", "ext4", ROOT),
        ("/dev/mapper/mpatha5", "none", "swap", SWAP),
        ("/dev/mapper/mpathbp1", "/srv/data", "ext4", DATA),
        ("/dev/mapper/36000c29f6a1b2c3d4e5f6a7b8c9d0e1f-part1", "/srv/more", "ext4", MORE),
        ("/dev/mapper/36000c29f6a1b2c3d4e5f6a7b8c9d0e1f-part1", "/srv/data", "ext4", None),
        ("/dev/disk/by-id/dm-uuid-part1-mpath-36000c29f6a1b2c3d", "/srv/data", "ext4", None),
        # What a filesystem remembers counts for more than the order.
        ("/dev/sdb1", "/srv/more", "ext4", MORE),
        ("/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:2:0-part1", "/srv/more", "ext4", MORE),
        ("/dev/sdc1", "/srv/data", "ext4", None),
        # Another type, another number, another disk.
        ("/dev/sdb1", "/srv/data", "xfs", None),
        ("/dev/sdb2", "/srv/data", "ext4", None),
        ("/dev/sdd1", "/srv/data", "ext4", None),
        ("/dev/disk/by-id/scsi-36000c29-part1", "/srv/data", "ext4", None),
    ],
)
def test_names_that_end_with_the_controller(
    spec: str, place: str, kind: str, volume: Volume | None
) -> None:
    match = STORAGE.find(spec, mount_point=place, fs_type=kind)
    assert match.volume == volume
    assert match.is_device
    assert not match.stable


def test_ids_of_lvm_are_on_the_disks_themselves() -> None:
    assert is_positional("/dev/disk/by-id/wwn-0x6000c29-part1")
    assert not is_positional("/dev/disk/by-id/lvm-pv-uuid-abc")
    assert not is_positional("/dev/disk/by-id/dm-name-web--vg-root")


def test_a_btrfs_is_on_all_its_members() -> None:
    members = [Volume(name, "btrfs", uuid="b") for name in ("/dev/sda1", "/dev/sdb1")]
    storage = Storage([*members, Volume("/dev/sdc1", "btrfs", uuid="c"), DATA])
    assert storage.members("/dev/sdb1") == ["/dev/sda1", "/dev/sdb1"]
    assert storage.members("/dev/sdc1") == ["/dev/sdc1"]


@pytest.mark.parametrize("kind", ["0xef", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"])
def test_an_efi_system_partition(kind: str) -> None:
    assert Volume("/dev/sda1", "vfat", part_type=kind).is_esp
    assert not Volume("/dev/sda1", "vfat", part_type="0xc").is_esp
    assert not Volume("/dev/sda1", "ext4", part_type=kind).is_esp


def test_stable_names() -> None:
    assert stable_name(DATA) == "UUID=cf08"
    assert stable_name(Volume("/dev/sdb2", part_uuid="01-02")) == "PARTUUID=01-02"
    assert stable_name(Volume("/dev/sdb")) == ""
    assert stable_path(DATA) == "/dev/disk/by-uuid/cf08"
    assert stable_path(Volume("/dev/sdb2", part_uuid="01-02")) == "/dev/disk/by-partuuid/01-02"
    assert stable_path(Volume("/dev/sdb")) == ""


@pytest.mark.parametrize(
    ("mountable", "device"),
    [
        ("/dev/sda1", "/dev/sda1"),
        ("btrfsvol:/dev/sda2/@/sub", "/dev/sda2"),
        ("btrfsvol:/dev/vg/root/@", "/dev/vg/root"),
    ],
)
def test_the_device_of_a_subvolume(mountable: str, device: str) -> None:
    assert device_of(mountable) == device


def test_numbers_of_disks() -> None:
    numbers = {"/dev/sda": 0, "/dev/sdz": 25, "/dev/sdaa": 26, "/dev/sdbc": 54}
    assert {name: disk_number(name) for name in numbers} == numbers
    assert {disk_name(number): number for number in numbers.values()} == numbers
