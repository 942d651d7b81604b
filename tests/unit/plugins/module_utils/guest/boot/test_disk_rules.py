# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.boot.disk_rules import (
    findings,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import DirectoryFiles
from ansible_collections.hypersdk.hyper2kvm.tests.support.linux_tree import write

PATH = "/etc/udev/rules.d/99-oracle-asmdevices.rules"


def said(root: Path, text: str, path: str = PATH) -> list[str]:
    write(root, {path: text})
    return [f"{found.severity} {found.path}" for found in findings(DirectoryFiles(root))]


@pytest.mark.parametrize(
    "text",
    [
        'KERNEL=="sd?1", SUBSYSTEM=="block", PROGRAM=="/usr/lib/udev/scsi_id -g -u -d'
        ' /dev/$parent", RESULT=="36000c29f", SYMLINK+="oracleasm/disk1", OWNER="grid"\n',
        'ENV{DM_NAME}=="", ENV{ID_SERIAL}=="36000c29f", \\\n  SYMLINK+="oracleasm/disk1"\n',
        'SUBSYSTEM=="block", ENV{ID_WWN}=="0x6000c29f", GROUP="asmadmin"\n',
        '# ours\nACTION=="add|change", KERNEL=="sdb", OWNER="oracle", GROUP="dba"\n',
    ],
)
def test_rules_that_know_a_disk_by_the_old_controller(tmp_path: Path, text: str) -> None:
    assert said(tmp_path, text) == [f"warning {PATH}"]


@pytest.mark.parametrize(
    "text",
    [
        # VMware's tools had this there; a time-out is no matter on virtio.
        'ACTION=="add", SUBSYSTEMS=="scsi", ATTRS{vendor}=="VMware*", RUN+="/bin/sh -c true"\n',
        '# KERNEL=="sdb", OWNER="oracle"\n',
        'KERNEL=="sd*|vd*", SUBSYSTEM=="block", GROUP="disk"\n',
        'ENV{ID_FS_UUID}=="0a0b", SYMLINK+="data"\n',
        'ENV{ID_PART_ENTRY_UUID}=="0a0b", OWNER="oracle"\n',
        'SUBSYSTEM=="net", ENV{ID_PATH}=="pci-0000:0b:00.0", NAME="ens192"\n',
        'KERNEL=="sda", OPTIONS+="last_rule"\n',
    ],
)
def test_rules_that_say_nothing_of_it(tmp_path: Path, text: str) -> None:
    assert said(tmp_path, text) == []


def test_only_rules_are_read(tmp_path: Path) -> None:
    text = 'KERNEL=="sdb", OWNER="oracle"\n'
    assert said(tmp_path, text, "/etc/udev/rules.d/99-asm.rules.bak") == []
