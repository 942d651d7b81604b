# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.boot.names import (
    find_named,
    findings,
    repair_names,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import DirectoryFiles
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.storage import (
    Storage,
    Volume,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support import linux_tree

STORAGE = Storage(
    [
        *(Volume("/dev/sda"), Volume("/dev/sdb")),
        Volume("/dev/sda1", "ext4", uuid="root-uuid"),
        Volume("/dev/sda2", "swap", uuid="swap-uuid"),
        Volume("/dev/sdb1", "ext4", uuid="data-uuid"),
        Volume("/dev/sdb2", "crypto_LUKS", uuid="luks-uuid"),
    ]
)


class Tree:
    """A guest with these files, and what is said and done about the names in them."""

    def __init__(self, root: Path, original_fstab: str = "", **files: str) -> None:
        texts = {f"/etc/{name}": text for name, text in files.items() if name != "grub_cfg"}
        if "grub_cfg" in files:
            texts["/boot/grub/grub.cfg"] = files["grub_cfg"]
        linux_tree.write(root, texts)
        self.files = DirectoryFiles(root)
        self.original_fstab = original_fstab

    def findings(self) -> list[tuple[str, str]]:
        named = find_named(self.files, STORAGE, "/dev/sda1", self.original_fstab)
        return [(finding.severity, finding.message) for finding in findings(named)]

    def repair(self) -> list[str]:
        named = find_named(self.files, STORAGE, "/dev/sda1", self.original_fstab)
        return [repair.what for repair in repair_names(self.files, named)]


def test_nothing_to_be_said(tmp_path: Path) -> None:
    tree = Tree(
        tmp_path,
        fstab="UUID=root-uuid / ext4 defaults\n/dev/mapper/secret /s ext4 defaults\n"
        "/srv/a /srv/b none bind\ntmpfs /tmp tmpfs defaults\n/dev/sr0 /media iso9660 noauto\n",
        crypttab="secret UUID=luks-uuid none luks\n",
        grub_cfg="linux /vmlinuz root=UUID=root-uuid\n",
    )
    assert tree.findings() == []
    assert tree.repair() == []


def test_names_of_the_old_controller_are_replaced(tmp_path: Path) -> None:
    tree = Tree(
        tmp_path,
        fstab="/dev/sda1 / ext4 defaults\n/dev/sda2 none swap sw\n/dev/sdb1 /srv ext4 defaults\n",
        crypttab="secret /dev/sdb2 none luks\n",
        grub_cfg="linux /vmlinuz root=/dev/sda1 resume=/dev/sda2\n",
    )
    assert [severity for severity, _message in tree.findings()] == ["error"] * 6
    assert "ends with the old controller" in tree.findings()[0][1]
    repairs = tree.repair()
    assert len(repairs) == 6
    assert "on disk b" in repairs[2]
    assert tree.files.read("/etc/fstab").decode() == (
        "UUID=root-uuid / ext4 defaults\nUUID=swap-uuid none swap sw\n"
        "UUID=data-uuid /srv ext4 defaults\n"
    )
    assert tree.files.read("/etc/crypttab") == b"secret UUID=luks-uuid none luks\n"
    assert b"root=UUID=root-uuid resume=UUID=swap-uuid" in tree.files.read("/boot/grub/grub.cfg")
    assert tree.findings() == []


def test_the_root_is_known_whatever_it_is_called(tmp_path: Path) -> None:
    # The guest had its boot disk as second one; its root is where the system was found.
    tree = Tree(tmp_path, fstab="/dev/sdb1 / ext4 defaults\n", grub_cfg="linux /v root=/dev/sdb1\n")
    tree.repair()
    assert tree.files.read("/etc/fstab") == b"UUID=root-uuid / ext4 defaults\n"


SCSI = "/dev/disk/by-id/scsi-36000c29f6a1b2c3d"


def test_one_name_of_a_disk_tells_the_others(tmp_path: Path) -> None:
    # As SLES 11 installs itself; nothing but the root's place is known.
    tree = Tree(
        tmp_path,
        fstab=f"{SCSI}-part2 swap swap defaults\n{SCSI}-part1 / ext4 acl 1 1\n",
        grub_cfg=f"kernel /boot/vmlinuz root={SCSI}-part1 resume={SCSI}-part2 splash=silent\n",
    )
    assert [severity for severity, _message in tree.findings()] == ["error"] * 4
    assert any(f"since it is on the same disk as {SCSI}-part1" in what for what in tree.repair())
    assert tree.files.read("/etc/fstab").decode() == (
        "UUID=swap-uuid swap swap defaults\nUUID=root-uuid / ext4 acl 1 1\n"
    )
    assert b"root=UUID=root-uuid resume=UUID=swap-uuid " in tree.files.read("/boot/grub/grub.cfg")
    assert tree.findings() == []


def test_names_of_multipath(tmp_path: Path) -> None:
    wwid = "/dev/mapper/36000c29f6a1b2c3d4e5f6a7b8c9d0e1f"
    tree = Tree(
        tmp_path,
        fstab=f"{wwid}-part1 / ext4 defaults\n{wwid}-part2 none swap sw\n"
        "/dev/mapper/mpathb-part1 /srv ext4 defaults\n",
        grub_cfg="linux /v root=/dev/mapper/mpatha-part1 ro\n",
    )
    assert [severity for severity, _message in tree.findings()] == ["error"] * 4
    tree.repair()
    assert tree.files.read("/etc/fstab").decode() == (
        "UUID=root-uuid / ext4 defaults\nUUID=swap-uuid none swap sw\n"
        "UUID=data-uuid /srv ext4 defaults\n"
    )
    assert b"root=UUID=root-uuid ro\n" in tree.files.read("/boot/grub/grub.cfg")
    assert tree.findings() == []


@pytest.mark.parametrize(
    "line",
    [
        f"{SCSI}e-part1 /srv ext4 defaults",  # another disk
        f"{SCSI}-part2 /srv ext4 defaults",  # another type
        f"{SCSI}-part3 /srv ext4 defaults",  # not there
    ],
)
def test_a_disk_s_name_tells_nothing_else(tmp_path: Path, line: str) -> None:
    tree = Tree(tmp_path, fstab=f"{SCSI}-part1 / ext4 defaults\n{line}\n")
    assert len(tree.repair()) == 1
    (found,) = tree.findings()
    assert line.split()[0] in found[1]


def test_where_a_kernel_in_fips_mode_checks_itself(tmp_path: Path) -> None:
    tree = Tree(tmp_path, grub_cfg="linux /v root=UUID=root-uuid fips=1 boot=/dev/sda1\n")
    assert len(tree.findings()) == 1
    tree.repair()
    assert b"fips=1 boot=UUID=root-uuid\n" in tree.files.read("/boot/grub/grub.cfg")
    assert Tree(tmp_path, grub_cfg="linux /v root=UUID=root-uuid boot=live\n").findings() == []


@pytest.mark.parametrize(
    ("files", "where"),
    [
        ({"fstab": "UUID=gone /srv ext4 defaults\n"}, "/etc/fstab names UUID=gone"),
        ({"fstab": "/dev/sdc1 /srv ext4 defaults\n"}, "/etc/fstab names /dev/sdc1"),
        ({"fstab": "LABEL=gone none swap sw\n"}, "as swap space"),
        ({"fstab": "/dev/mapper/vg-gone /srv ext4 defaults\n"}, "/dev/mapper/vg-gone"),
        ({"crypttab": "x UUID=gone none luks\n"}, "/etc/crypttab names UUID=gone"),
        ({"grub_cfg": "linux /v root=UUID=gone\n"}, "as the root filesystem"),
        ({"grub_cfg": "search --fs-uuid --set=root gone\n"}, "that GRUB looks for"),
        ({"grub_cfg": "linux /v root=UUID=root-uuid rd.lvm.lv=vg/gone\n"}, "vg/gone"),
    ],
)
def test_what_is_on_none_of_the_disks_is_named(
    tmp_path: Path, files: dict[str, str], where: str
) -> None:
    tree = Tree(tmp_path, **files)
    assert tree.repair() == []
    ((severity, message),) = tree.findings()
    assert severity == "error"
    assert where in message


def test_nofail_counts_only_when_it_is_the_owner_s(tmp_path: Path) -> None:
    text = "UUID=gone /srv ext4 defaults,nofail\n"
    # hyper2kvm writes nofail on every mount but the root.
    hyper2kvms = Tree(tmp_path / "1", "UUID=gone /srv ext4 defaults\n", fstab=text)
    assert [severity for severity, _message in hyper2kvms.findings()] == ["error"]
    owners = Tree(tmp_path / "2", text, fstab=text)
    assert [severity for severity, _message in owners.findings()] == ["warning"]
