# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.boot.examination import (
    Guest,
    examine,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.boot.lvm import (
    DEVICES_FILE,
    find_obstacles,
    repair_obstacles,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import DirectoryFiles
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.layers import Layers
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.linux import (
    keep_originals,
    repair_linux,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.storage import (
    Storage,
    Volume,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.linux_tree import (
    NEEDED,
    VERSION,
    GuestWithTools,
    initramfs,
    make_tree,
    write,
)

CONFIGURATION = "/etc/lvm/lvm.conf"
PV = Volume("/dev/sda2", "LVM2_member", uuid="QlGhbW-R1Zk-yC0g-pVtE-0tA9-4nzC-mUCYgv")
DATA = Volume("/dev/sdb", "LVM2_member", uuid="aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa")
STORAGE = Storage([Volume("/dev/sda1", "xfs", uuid="boot"), PV, DATA])
# As lvmdevices of lvm2 2.03.14 writes it.
HEAD = "# LVM uses devices listed in this file.\n# Created by LVM command vgcreate pid 6142\nVERSION=1.1.1\n"
BY_WWID = "IDTYPE=sys_wwid IDNAME=naa.6000c29f6a1b DEVNAME=/dev/sda2 PVID=QlGhbWR1ZkyC0gpVtE0tA94nzCmUCYgv PART=2\n"
BY_NAME = BY_WWID.replace("sys_wwid", "devname").replace("naa.6000c29f6a1b", "/dev/sda2")


def disks(root: Path, storage: Storage = STORAGE, **texts: str) -> list[tuple[str, ...]]:
    paths = {"devices": DEVICES_FILE, "conf": CONFIGURATION, "local": "/etc/lvm/lvmlocal.conf"}
    write(root, {paths[name]: text for name, text in texts.items()})
    return [one.disks for one in find_obstacles(DirectoryFiles(root), storage)]


@pytest.mark.parametrize("entry", [BY_WWID, BY_NAME])
def test_a_devices_file_that_goes_by_the_old_controller(tmp_path: Path, entry: str) -> None:
    assert disks(tmp_path, devices=HEAD + entry) == [("/dev/sda2",)]


@pytest.mark.parametrize(
    "texts",
    [
        {},
        {"devices": HEAD},
        {"devices": HEAD + BY_WWID.replace("sys_wwid", "md_uuid")},
        {"devices": HEAD + BY_WWID.replace("PVID=Q", "PVID=x")},
        {"devices": HEAD + "# " + BY_WWID},
        {"devices": HEAD + BY_WWID, "conf": "devices {\n\tuse_devicesfile = 0\n}\n"},
        {"devices": HEAD + BY_WWID, "local": "devices/use_devicesfile=0\n"},
    ],
)
def test_a_devices_file_that_keeps_nothing_away(tmp_path: Path, texts: dict[str, str]) -> None:
    assert disks(tmp_path, **texts) == []


def test_what_a_switch_in_a_comment_says_does_not_count(tmp_path: Path) -> None:
    conf = "devices {\n\t# use_devicesfile = 0\n}\n"
    assert disks(tmp_path, devices=HEAD + BY_WWID, conf=conf) == [("/dev/sda2",)]


def test_a_guest_without_lvm_may_have_such_a_file(tmp_path: Path) -> None:
    assert disks(tmp_path, Storage([Volume("/dev/sda1", "ext4")]), devices=BY_WWID) == []


@pytest.mark.parametrize(
    ("value", "lost"),
    [
        ('[ "a|^/dev/sda2$|", "r|.*|" ]', ["/dev/sda2"]),
        ('[ "a|^/dev/sd.*|", "r|.*|" ]', ["/dev/sda2", "/dev/sdb"]),
        ('[\n\t\t"a|/dev/disk/by-id/scsi-3600.*|",\n\t\t"r/.*/"\n\t]', ["/dev/sda2", "/dev/sdb"]),
        ('[ "a{/dev/sda}", "r[.*]" ]', ["/dev/sda2"]),
        ('[ "a|^/dev/mapper/mpath|", "r|.*|" ]', ["/dev/sda2", "/dev/sdb"]),
        # Rejected before as well, or accepted still.
        ('[ "r|^/dev/sdb$|", "a|.*|" ]', []),
        ('[ "a|^/dev/disk/by-id/lvm-pv-uuid-.*|", "r|.*|" ]', []),
        ('[ "a|^/dev/[sv]d[a-z]|", "r|.*|" ]', []),
        ('"r|/dev/cdrom|"', []),
        ('"a|.*/|"', []),
        ('[ "nonsense", "a|(|" ]', []),
    ],
)
@pytest.mark.parametrize("key", ["filter", "global_filter"])
def test_filters(tmp_path: Path, key: str, value: str, lost: list[str]) -> None:
    text = f'devices {{\n\t# {key} = [ "r|.*|" ]\n\t{key} = {value}\n\tscan_lvs = 0\n}}\n'
    assert disks(tmp_path, conf=text) == ([tuple(lost)] if lost else [])
    files = DirectoryFiles(tmp_path)
    repairs = repair_obstacles(files, find_obstacles(files, STORAGE))
    assert [repair.path for repair in repairs] == [CONFIGURATION] * bool(lost)
    assert find_obstacles(files, STORAGE) == ()
    assert files.read(CONFIGURATION).decode().endswith("\tscan_lvs = 0\n}\n")


def test_a_filter_gets_what_it_lacks_and_keeps_the_rest(tmp_path: Path) -> None:
    write(tmp_path, {CONFIGURATION: 'filter=["a|^/dev/sda2$|","r|.*|"]\n'})
    files = DirectoryFiles(tmp_path)
    (repair,) = repair_obstacles(files, find_obstacles(files, STORAGE))
    assert repair.before == 'filter=["a|^/dev/sda2$|","r|.*|"]'
    assert repair.after == 'filter=[ "a|^/dev/vda2$|", "a|^/dev/sda2$|","r|.*|" ]'


def test_the_guest_s_repair_takes_the_devices_file_away_and_out_of_the_initramfs(
    tmp_path: Path,
) -> None:
    make_tree(tmp_path)
    initrd = f"/boot/initrd.img-{VERSION}"
    listed = "\n".join(NEEDED)
    write(
        tmp_path,
        {
            DEVICES_FILE: HEAD + BY_WWID,
            initrd: initramfs(NEEDED, [DEVICES_FILE[1:]]),
            "/etc/initramfs-tools/modules": listed,
        },
    )
    one = Guest(
        files=GuestWithTools(tmp_path),
        storage=Storage([Volume("/dev/sda1", "ext4", uuid="root"), PV]),
        root_device="/dev/sda1",
        mounted={"/": "/dev/sda1"},
        layers=Layers(),
        firmware="bios",
    )
    (finding,) = examine(one).findings()
    assert (finding.severity, finding.path) == ("error", DEVICES_FILE)
    reading = {"originals": json.loads(json.dumps(keep_originals(one.files, {})))}
    request = {"repair": True, "guest_network": "keep", "timeout": 10, "reading": reading}
    outcome = repair_linux(one, request, print)
    assert [repair.path for repair in outcome.repaired] == [DEVICES_FILE, initrd]
    assert outcome.findings == []
    assert not one.files.exists(DEVICES_FILE)
