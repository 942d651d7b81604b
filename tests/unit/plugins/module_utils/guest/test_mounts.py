# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import DirectoryFiles
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.mounts import (
    Mistaken,
    mistaken,
    mistaken_findings,
    put_back_devices,
    put_back_options,
    with_own_options,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.storage import (
    Storage,
    Volume,
)

BEFORE = """\
# <file system> <mount point>   <type>  <options>       <dump>  <pass>
/dev/sda1       /               ext4    errors=remount-ro 0       1
/dev/sda2       none            swap    sw              0       0

/dev/sdb1       /srv/data       xfs     defaults,noatime        0       2   # the database
UUID=1234-ABCD  /boot/efi       vfat    umask=0077      0       1
/dev/sdc1       /backup         ext4    defaults,nofail 0       2
nas:/export     /mnt/nas        nfs     rw,hard         0       0
"""
AFTER = """\
# <file system> <mount point>   <type>  <options>       <dump>  <pass>
UUID=aaaa       /               ext4    errors=remount-ro 0       1
UUID=bbbb       none            swap    sw              0       0

UUID=cccc\t/srv/data\txfs\tdefaults,noatime,nofail,x-systemd.device-timeout=5s\t0\t2
UUID=1234-ABCD\t/boot/efi\tvfat\tumask=0077,nofail,x-systemd.device-timeout=5s\t0\t1
/dev/sdc1       /backup         ext4    defaults,nofail 0       2
nas:/export\t/mnt/nas\tnfs\trw,hard,nofail,x-systemd.device-timeout=5s\t0\t0
"""
WANTED = """\
# <file system> <mount point>   <type>  <options>       <dump>  <pass>
UUID=aaaa       /               ext4    errors=remount-ro 0       1
UUID=bbbb       none            swap    sw              0       0

UUID=cccc       /srv/data       xfs     defaults,noatime        0       2   # the database
UUID=1234-ABCD  /boot/efi       vfat    umask=0077      0       1
/dev/sdc1       /backup         ext4    defaults,nofail 0       2
nas:/export     /mnt/nas        nfs     rw,hard         0       0
"""


def test_options_go_devices_stay_and_lines_look_as_they_did() -> None:
    assert with_own_options(AFTER, BEFORE) == WANTED


def test_what_the_guest_had_itself_stays() -> None:
    own = "/dev/sdb1 /a ext4 nofail,x-systemd.device-timeout=5s 0 0\n"
    assert with_own_options(own, own) == own
    partly = "/dev/sdb1 /a ext4 defaults,x-systemd.device-timeout=5s 0 0\n"
    after = "UUID=1\t/a\text4\tdefaults,x-systemd.device-timeout=5s,nofail\t0\t0\n"
    assert with_own_options(after, partly) == partly.replace("/dev/sdb1", "UUID=1")


def test_a_line_that_differs_otherwise_keeps_what_is_new() -> None:
    before = "/dev/sdb1 /a ext4 ro 0 0\n"
    after = "UUID=1\t/a\text4\trw,nofail,x-systemd.device-timeout=5s\t0\t0\n"
    assert with_own_options(after, before) == "UUID=1\t/a\text4\trw\t0\t0\n"
    only = "UUID=1\t/a\txfs\tnofail,x-systemd.device-timeout=5s\t0\t0\n"
    assert with_own_options(only, before) == "UUID=1\t/a\txfs\tdefaults\t0\t0\n"


def test_mounts_that_were_not_there_before_are_left() -> None:
    assert with_own_options(AFTER, "") == AFTER
    assert with_own_options("", BEFORE) == ""


@pytest.mark.parametrize("text", ["x", "\0", "a b c d", "#\n\n \t\n", "/dev/a /b\n" * 3])
def test_damaged_files_do_no_harm(text: str) -> None:
    assert with_own_options(text, BEFORE) == text
    assert with_own_options(AFTER, text) == AFTER


def test_a_guests_file(tmp_path: Path) -> None:
    files = DirectoryFiles(tmp_path)
    assert put_back_options(files, BEFORE) == []
    files.write("/etc/fstab", AFTER.encode())
    repairs = put_back_options(files, BEFORE)
    assert files.read("/etc/fstab") == WANTED.encode()
    assert [(repair.path, repair.after.split()[1]) for repair in repairs] == [
        ("/etc/fstab", "/srv/data"),
        ("/etc/fstab", "/boot/efi"),
        ("/etc/fstab", "/mnt/nas"),
    ]
    assert put_back_options(files, BEFORE) == []


STORAGE = Storage(
    [
        Volume("/dev/sda1", "ext4", uuid="aaaa"),
        Volume("/dev/sda2", "swap", uuid="bbbb"),
        Volume("/dev/sda3", "btrfs", uuid="dddd"),
        Volume("/dev/sdb1", "xfs", uuid="cccc"),
        Volume("/dev/sdc1", "btrfs", uuid="dddd"),
    ]
)
ROOT = "/dev/sda1 / ext4 defaults 0 1\n"
FIXED_ROOT = "UUID=aaaa\t/\text4\tdefaults\t0\t1\n"


@pytest.mark.parametrize(
    ("before", "after", "wrong"),
    [
        # What was seen: the disk that FIX had not got is taken for the boot disk.
        ("/dev/sdb1 /srv xfs defaults 0 2", "UUID=aaaa /srv xfs defaults 0 2", True),
        ("/dev/sdb1 /srv auto defaults 0 2", "UUID=aaaa /srv auto defaults 0 2", True),
        ("/dev/sdb1 /srv xfs defaults 0 2", "UUID=cccc /srv xfs defaults 0 2", False),
        ("/dev/sdb1 /srv xfs defaults 0 2", "UUID=none /srv xfs defaults 0 2", True),
        ("/dev/sda2 none swap sw 0 0", "UUID=bbbb none swap sw 0 0", False),
        ("/dev/sda2 none swap sw 0 0", "UUID=aaaa none swap sw 0 0", True),
        # Nobody can tell what it was, but it was no ext4 and not the root.
        ("/dev/sdx1 /srv xfs defaults 0 2", "UUID=cccc /srv xfs defaults 0 2", False),
        ("/dev/sdx1 /srv ext4 defaults 0 2", "UUID=cccc /srv ext4 defaults 0 2", True),
        ("/dev/sdx1 /srv ext4 defaults 0 2", "UUID=aaaa /srv ext4 defaults 0 2", True),
        # A filesystem on two volumes, mounted twice.
        (
            "/dev/sda3 /a btrfs subvol=a 0 0\n/dev/sdc1 /b btrfs subvol=b 0 0",
            "UUID=dddd /a btrfs subvol=a 0 0\nUUID=dddd /b btrfs subvol=b 0 0",
            False,
        ),
        ("nas:/srv /srv nfs rw 0 0", "nas:/srv /srv nfs rw,nofail 0 0", False),
    ],
)
def test_a_device_that_was_taken_for_another(
    tmp_path: Path, before: str, after: str, wrong: bool
) -> None:
    files = DirectoryFiles(tmp_path)
    text = f"{FIXED_ROOT}{after}\n"
    files.write("/etc/fstab", text.encode())
    found = mistaken(files, STORAGE, "/dev/sda1", f"{ROOT}{before}\n")
    was, mount_point = before.split()[:2]
    made = after.split()[0]
    assert found == ([Mistaken(1, mount_point, was, made)] if wrong else [])
    repairs = put_back_devices(files, found)
    assert files.read("/etc/fstab").decode() == (
        text.replace(f"\n{made} ", f"\n{was} ") if wrong else text
    )
    assert [repair.after.split()[0] for repair in repairs] == ([was] if wrong else [])
    assert mistaken(files, STORAGE, "/dev/sda1", f"{ROOT}{before}\n") == []


def test_the_root_is_what_the_system_was_found_on(tmp_path: Path) -> None:
    files = DirectoryFiles(tmp_path)
    files.write("/etc/fstab", b"UUID=cccc / xfs defaults 0 1\n")
    (found,) = mistaken(files, STORAGE, "/dev/sda1", ROOT)
    assert (found.was, found.made) == ("/dev/sda1", "UUID=cccc")
    (finding,) = mistaken_findings([found])
    assert finding.severity == "error"
    assert "took /dev/sda1, which the guest mounts on /, for UUID=cccc" in finding.message
