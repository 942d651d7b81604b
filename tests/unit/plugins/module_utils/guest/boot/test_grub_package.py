# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.boot.examination import (
    Guest,
    examine,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.layers import Layers
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.repair import Finding
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.storage import (
    Storage,
    Volume,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.linux_tree import make_tree, write

INSTALLED = "/var/lib/dpkg/info/grub-pc.postinst"
# As debconf writes it after an installation from Debian's medium.
ANSWERS = """\
Name: grub-pc/hidden_timeout
Template: grub-pc/hidden_timeout
Value: false
Owners: grub-pc

Name: grub-pc/install_devices
Template: grub-pc/install_devices
Value: {}
Owners: grub-pc
Flags: seen
Variables:
 CHOICES = /dev/sda (21474 MB; Virtual_disk)
 RAW_CHOICES = /dev/sda

Name: grub-pc/install_devices_empty
Template: grub-pc/install_devices_empty
Value: false
Owners: grub-pc
"""


def seen(root: Path, answers: str, *others: str) -> list[Finding]:
    files = make_tree(root)
    write(root, {"/var/cache/debconf/config.dat": answers, **dict.fromkeys(others, "")})
    storage = Storage([Volume("/dev/sda1", "ext4", uuid="root")])
    return examine(Guest(files, storage, "/dev/sda1", {}, Layers(), "bios")).findings()


@pytest.mark.parametrize(
    "value", ["/dev/sda", "/dev/disk/by-id/scsi-36000c29f6a1b2c3d4e5f", "/dev/md0, /dev/sdb"]
)
def test_a_disk_of_the_old_controller_is_told(tmp_path: Path, value: str) -> None:
    (finding,) = seen(tmp_path, ANSWERS.format(value), INSTALLED)
    assert finding.severity == "warning"
    assert f"set to write GRUB to {value}, as" in finding.message


def test_what_says_nothing(tmp_path: Path) -> None:
    unset = ANSWERS.replace("Value: {}\n", "")
    assert seen(tmp_path / "unset", unset, INSTALLED) == []
    assert seen(tmp_path / "removed", ANSWERS.format("/dev/sda")) == []
    assert seen(tmp_path / "none", "", INSTALLED) == []
