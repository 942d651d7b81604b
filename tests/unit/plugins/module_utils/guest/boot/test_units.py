# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

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
from ansible_collections.hypersdk.hyper2kvm.tests.support.linux_tree import write

UNITS = "/etc/systemd/system"
STORAGE = Storage(
    [
        *(Volume("/dev/sda"), Volume("/dev/sdb")),
        Volume("/dev/sda1", "ext4", uuid="root-uuid"),
        Volume("/dev/sda2", "swap", uuid="swap-uuid"),
        Volume("/dev/sdb1", "xfs", uuid="data-uuid"),
    ]
)
MOUNT = """\
[Unit]
Description=The database's files

[Mount]
What=/dev/sdb1
Where=/srv/data
Type=xfs
Options=noatime

[Install]
WantedBy=multi-user.target
"""


def guest(root: Path, *enabled: str, **units: str) -> DirectoryFiles:
    write(root, {f"{UNITS}/{name.replace('_', '.')}": text for name, text in units.items()})
    files = DirectoryFiles(root)
    for link in enabled:
        files.link(f"{UNITS}/{link.rpartition('/')[2]}", f"{UNITS}/{link}")
    return files


def said(files: DirectoryFiles) -> list[tuple[str, str]]:
    named = find_named(files, STORAGE, "/dev/sda1", "")
    return [(finding.severity, finding.message) for finding in findings(named)]


def repaired(files: DirectoryFiles) -> list[str]:
    named = find_named(files, STORAGE, "/dev/sda1", "")
    return [repair.what for repair in repair_names(files, named)]


def test_a_mount_unit_s_device_is_replaced(tmp_path: Path) -> None:
    files = guest(tmp_path, "multi-user.target.wants/srv-data.mount", **{"srv-data_mount": MOUNT})
    ((severity, message),) = said(files)
    assert severity == "error"
    assert "srv-data.mount names /dev/sdb1 as the filesystem on /srv/data" in message
    (what,) = repaired(files)
    assert "/dev/disk/by-uuid/data-uuid instead of /dev/sdb1, since" in what
    wanted = MOUNT.replace("What=/dev/sdb1", "What=/dev/disk/by-uuid/data-uuid")
    assert files.read(f"{UNITS}/srv-data.mount").decode() == wanted
    assert said(files) == []
    assert repaired(files) == []


def test_one_that_is_mounted_on_demand(tmp_path: Path) -> None:
    automount = "[Automount]\nWhere=/srv/data\n"
    units = {"srv-data_mount": MOUNT, "srv-data_automount": automount}
    files = guest(tmp_path, "local-fs.target.wants/srv-data.automount", **units)
    assert [severity for severity, _message in said(files)] == ["error"]
    assert len(repaired(files)) == 1


def test_one_that_is_not_enabled_is_no_failure(tmp_path: Path) -> None:
    gone = MOUNT.replace("/dev/sdb1", "UUID=gone")
    files = guest(tmp_path, **{"srv-data_mount": gone})
    ((severity, message),) = said(files)
    assert severity == "warning"
    assert "UUID=gone" in message


def test_a_swap_unit_is_called_like_its_device(tmp_path: Path) -> None:
    text = "[Swap]\nWhat=/dev/sda2\n"
    files = guest(tmp_path, "swap.target.wants/dev-sda2.swap", **{"dev-sda2_swap": text})
    ((severity, message),) = said(files)
    assert severity == "warning"
    assert "dev-sda2.swap names /dev/sda2 as swap space" in message
    assert repaired(files) == []


def test_what_is_no_device_or_no_unit(tmp_path: Path) -> None:
    files = guest(
        tmp_path,
        "local-fs.target.wants/mnt-nas.mount",
        **{
            "mnt-nas_mount": MOUNT.replace("/dev/sdb1", "nas:/export"),
            "tmp_mount": MOUNT.replace("/dev/sdb1", "tmpfs"),
            "other_service": MOUNT,
            "empty_mount": "",
        },
    )
    files.link("/dev/null", f"{UNITS}/masked.mount")
    assert said(files) == []
