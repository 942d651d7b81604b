# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import DirectoryFiles
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.mounts import (
    put_back_options,
    with_own_options,
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
