# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.boot.command_line import (
    Reference,
    find_references,
    replaced,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import DirectoryFiles
from ansible_collections.hypersdk.hyper2kvm.tests.support import linux_tree

GRUB_CFG = """\
# linux /vmlinuz root=/dev/comment
set default=0
if [ x$feature_platform_search_hint = xy ]; then
  search --no-floppy --fs-uuid --set=root --hint-bios=hd0,msdos1  AB12-CD34
else
  search --no-floppy --fs-uuid --set=root AB12-CD34
fi
menuentry 'Debian' {
\tlinux\t/boot/vmlinuz root=/dev/sda1 ro root=UUID=1 quiet resume=/dev/sda5
\tinitrd\t/boot/initrd.img
}
"""
GRUBENV = (
    "# GRUB Environment Block\nkernelopts=root=/dev/mapper/rl-root ro rd.lvm.lv=rl/root\n"
).ljust(1024, "#")


def seen(files: DirectoryFiles) -> set[tuple[str, str, str]]:
    return {(one.path, one.key, one.spec) for one in find_references(files)}


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (
            "/boot/grub/grub.cfg",
            GRUB_CFG,
            {("search", "UUID=AB12-CD34"), ("root", "UUID=1"), ("resume", "/dev/sda5")},
        ),
        (
            "/boot/efi/EFI/debian/grub.cfg",
            "search.fs_uuid 1234-ab root hd0,gpt2\nset prefix=($root)'/boot/grub'\n",
            {("search", "UUID=1234-ab")},
        ),
        (
            "/etc/default/grub",
            'GRUB_CMDLINE_LINUX="console=ttyS0 root=/dev/sda1"\n#GRUB_CMDLINE_LINUX="root=x"\n',
            {("root", "/dev/sda1")},
        ),
        (
            "/boot/loader/entries/a.conf",
            "title Rocky\nlinux /vmlinuz\noptions root=LABEL=r rd.luks.uuid=luks-"
            "35cfbf6a-94d2-5572-8279-8375e22fc5a3 $kernelopts\n",
            {("root", "LABEL=r"), ("rd.luks.uuid", "UUID=35cfbf6a-94d2-5572-8279-8375e22fc5a3")},
        ),
        (
            "/boot/grub2/grubenv",
            GRUBENV,
            {("root", "/dev/mapper/rl-root"), ("rd.lvm.lv", "/dev/rl/root")},
        ),
        ("/etc/kernel/cmdline", "root=PARTUUID=12-34 ro\n", {("root", "PARTUUID=12-34")}),
        ("/boot/extlinux/extlinux.conf", "APPEND root=/dev/sda1 ro\n", {("root", "/dev/sda1")}),
        (
            "/boot/loader/entries/arch.conf",
            "options cryptdevice=UUID=7:root root=/dev/mapper/root\n",
            {("cryptdevice", "UUID=7"), ("root", "/dev/mapper/root")},
        ),
    ],
)
def test_what_each_kind_of_file_names(
    tmp_path: Path, path: str, text: str, expected: set[tuple[str, str]]
) -> None:
    linux_tree.write(tmp_path, {path: text})
    assert seen(DirectoryFiles(tmp_path)) == {(path, key, spec) for key, spec in expected}


def test_another_name_in_place(tmp_path: Path) -> None:
    linux_tree.write(tmp_path, {"/boot/grub/grub.cfg": GRUB_CFG})
    files = DirectoryFiles(tmp_path)
    before, after = replaced(
        files, Reference("/boot/grub/grub.cfg", "resume", "/dev/sda5", "/dev/sda5"), "UUID=5"
    )
    assert before.endswith("resume=/dev/sda5")
    assert after.endswith("quiet resume=UUID=5")
    assert files.read("/boot/grub/grub.cfg").decode() == GRUB_CFG.replace("/dev/sda5", "UUID=5")


def test_grub_s_environment_block_keeps_its_size(tmp_path: Path) -> None:
    path = "/boot/grub2/grubenv"
    linux_tree.write(tmp_path, {path: GRUBENV})
    files = DirectoryFiles(tmp_path)
    replaced(files, Reference(path, "root", "/dev/mapper/rl-root", ""), "UUID=" + "1" * 36)
    content = files.read(path)
    assert len(content) == 1024
    assert content.startswith(b"# GRUB Environment Block\nkernelopts=root=UUID=1111")
    assert content.endswith(b"#####")
    # There is room for as much; nothing is written past the block's end.
    replaced(files, Reference(path, "rd.lvm.lv", "rl/root", ""), "x" * 900)
    content = files.read(path)
    assert replaced(files, Reference(path, "root", "UUID=" + "1" * 36, ""), "y" * 99) == (
        (line := content.decode().splitlines()[1]),
        line,
    )
    assert files.read(path) == content
    assert len(content) == 1024
