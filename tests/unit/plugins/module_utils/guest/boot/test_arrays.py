# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.boot.arrays import (
    find_restrictions,
    findings,
    repair_restrictions,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import DirectoryFiles
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.storage import (
    Storage,
    Volume,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.linux_tree import write

PATH = "/etc/mdadm/mdadm.conf"
STORAGE = Storage(
    [
        Volume("/dev/sda1", "linux_raid_member", uuid="array"),
        Volume("/dev/sdb1", "linux_raid_member", uuid="array"),
        Volume("/dev/md0", "ext4", uuid="root"),
    ]
)
# As Debian's mkconf and "mdadm --detail --scan" write it.
DEBIAN = """\
# mdadm.conf
#DEVICE partitions containers
HOMEHOST <system>
MAILADDR root
ARRAY /dev/md/0  metadata=1.2 UUID=2c5dbb0d:4a3fd5c5:1a3a3d3c:8e7e6f0b name=web01:0
"""
# As with --verbose.
VERBOSE = """\
ARRAY /dev/md0 level=raid1 num-devices=2 metadata=1.2 name=web01:0 UUID=2c5dbb0d:4a3fd5c5
   devices=/dev/sda1,/dev/sdb1
MAILADDR root
"""


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("DEVICE /dev/sd*[0-9]\n" + DEBIAN, "DEVICE partitions\n" + DEBIAN),
        ("device /dev/sda1\n  /dev/sdb1\n" + DEBIAN, "DEVICE partitions\n" + DEBIAN),
        ("DEVICE /dev/vda1\nDEV /dev/sd*\n", "DEVICE partitions\nDEV /dev/sd*\n"),
        (VERBOSE, VERBOSE.replace("\n   devices=/dev/sda1,/dev/sdb1", "")),
    ],
)
def test_disks_by_old_names_are_found_by_any(tmp_path: Path, text: str, after: str) -> None:
    write(tmp_path, {PATH: text})
    files = DirectoryFiles(tmp_path)
    found = find_restrictions(files, STORAGE)
    (finding,) = findings(found)
    assert (finding.severity, finding.path) == ("error", PATH)
    assert "keeps mdadm from" in finding.message
    assert len(repair_restrictions(files, found)) == 1
    assert files.read(PATH).decode() == after
    assert find_restrictions(files, STORAGE) == ()


@pytest.mark.parametrize(
    "text",
    [
        DEBIAN,
        "DEVICE partitions\n",
        "DEVICE /dev/sd* partitions\n",
        "DEVICE /dev/sd*\nDEVICE /dev/vd*\n",
        "DEVICE /dev/[sv]d[ab]1\n",
        "ARRAY /dev/md0 UUID=2c5d devices=/dev/vda1,/dev/vdb1\n",
    ],
)
def test_what_holds_on_kvm_stays(tmp_path: Path, text: str) -> None:
    write(tmp_path, {PATH: text})
    assert find_restrictions(DirectoryFiles(tmp_path), STORAGE) == ()


def test_an_array_that_nothing_else_tells(tmp_path: Path) -> None:
    text = "ARRAY /dev/md0 level=raid1 devices=/dev/sda1,/dev/sdb1\n"
    write(tmp_path, {"/etc/mdadm.conf": text})
    files = DirectoryFiles(tmp_path)
    found = find_restrictions(files, STORAGE)
    assert repair_restrictions(files, found) == []
    (finding,) = findings(found)
    assert "repair on" not in finding.action
    assert files.read("/etc/mdadm.conf").decode() == text


def test_a_guest_without_arrays_may_have_such_a_file(tmp_path: Path) -> None:
    write(tmp_path, {PATH: "DEVICE /dev/sd*\n", "/etc/mdadm.conf.d/a.conf": VERBOSE})
    files = DirectoryFiles(tmp_path)
    assert find_restrictions(files, Storage([Volume("/dev/sda1", "ext4")])) == ()
    assert len(find_restrictions(files, STORAGE)) == 2
