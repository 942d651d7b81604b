# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.boot.tools import (
    INITRAMFS_TOOLS_MODULES,
    find_tool,
    list_modules,
    listed_modules,
    lost_modules,
    put_back_listed,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import DirectoryFiles
from ansible_collections.hypersdk.hyper2kvm.tests.support.linux_tree import write

ORIGINAL = "# List of modules\nvirtio_blk\nraid1 option=1\next4\n"
# As hyper2kvm 0.2.1 leaves it: the newline at the end taken away, its own lines appended.
FIXED = f"{ORIGINAL.rstrip()}# Added by hyper2kvm (initramfs driver injection)\nvirtio_net\n"


def test_a_module_that_became_part_of_a_comment_comes_back(tmp_path: Path) -> None:
    write(tmp_path, {INITRAMFS_TOOLS_MODULES: FIXED})
    files = DirectoryFiles(tmp_path)
    assert lost_modules(files, ORIGINAL) == ["ext4"]
    (repair,) = put_back_listed(files, ORIGINAL)
    assert repair.before.startswith("ext4# Added by hyper2kvm")
    assert files.read(INITRAMFS_TOOLS_MODULES).decode() == FIXED.replace("ext4#", "ext4\n#")
    assert put_back_listed(files, ORIGINAL) == []


def test_what_counts_as_listed() -> None:
    # As mkinitramfs reads it: a comment begins its line, and options follow a module.
    text = "#ext3\n # ext2\nraid1 option=1\n\next4# Added\n"
    assert set(listed_modules(text)) == {"#", "raid1", "ext4#"}


def test_a_module_that_is_gone_comes_back_too(tmp_path: Path) -> None:
    write(tmp_path, {INITRAMFS_TOOLS_MODULES: "virtio_net"})
    files = DirectoryFiles(tmp_path)
    assert len(put_back_listed(files, ORIGINAL)) == 1
    assert files.read(INITRAMFS_TOOLS_MODULES).decode() == (
        "virtio_net\nvirtio_blk\nraid1 option=1\next4\n"
    )


@pytest.mark.parametrize(
    ("program", "path", "lines"),
    [
        (
            "/usr/sbin/update-initramfs",
            INITRAMFS_TOOLS_MODULES,
            ["virtio_blk", "dm_mod"],
        ),
        (
            "/usr/bin/dracut",
            "/etc/dracut.conf.d/90-hyper2kvm.conf",
            ['add_drivers+=" virtio_blk dm_mod "', 'add_dracutmodules+=" lvm "'],
        ),
        ("/usr/bin/mkinitcpio", "/etc/mkinitcpio.conf", ['MODULES+=("virtio_blk?" "dm_mod?")']),
    ],
)
def test_each_tool_is_told_in_its_own_file(
    tmp_path: Path, program: str, path: str, lines: list[str]
) -> None:
    write(tmp_path, {program: "program", "/etc/mkinitcpio.conf": "HOOKS=(base udev)"})
    files = DirectoryFiles(tmp_path)
    tool = find_tool(files)
    assert tool is not None
    assert tool.program == program
    (repair,) = list_modules(files, tool, ["virtio_blk", "dm_mod"], ["lvm"])
    assert repair.path == path
    assert set(lines) <= set(files.read(path).decode().splitlines())
    assert list_modules(files, tool, ["virtio_blk", "dm_mod"], ["lvm"]) == []
    assert list_modules(files, tool, []) == []
