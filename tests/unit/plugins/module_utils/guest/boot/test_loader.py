# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.boot.loader import (
    add_fallback,
    fallback_finding,
    find_esp,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import DirectoryFiles
from ansible_collections.hypersdk.hyper2kvm.tests.support.linux_tree import write

ESP = "/boot/efi"
SUSE = ["shim.efi", "grub.cfg", "grub.efi", "MokManager.efi"]


def tree(root: Path, *loaders: str) -> DirectoryFiles:
    write(root, {f"{ESP}/EFI/{name}": f"content of {name}" for name in loaders})
    return DirectoryFiles(root)


@pytest.mark.parametrize("name", ["BOOT/BOOTX64.EFI", "boot/bootx64.efi"])
def test_a_fallback_whatever_its_case(tmp_path: Path, name: str) -> None:
    assert fallback_finding(tree(tmp_path, name), ESP, "x86_64") is None


@pytest.mark.parametrize(
    ("loaders", "copied"),
    [
        (["debian/grubx64.efi"], {"BOOTX64.EFI": "debian/grubx64.efi"}),
        (
            ["rocky/shimx64.efi", "rocky/grubx64.efi", "rocky/mmx64.efi"],
            {
                "BOOTX64.EFI": "rocky/shimx64.efi",
                "grubx64.efi": "rocky/grubx64.efi",
                "mmx64.efi": "rocky/mmx64.efi",
            },
        ),
        (
            # openSUSE and SLES: GRUB reads grub.cfg beside itself.
            [f"opensuse/{name}" for name in SUSE],
            {"BOOTX64.EFI": "opensuse/shim.efi", **{name: f"opensuse/{name}" for name in SUSE[1:]}},
        ),
        (["sles/grub.efi"], {"BOOTX64.EFI": "sles/grub.efi"}),
        (["systemd/systemd-bootx64.efi"], {"BOOTX64.EFI": "systemd/systemd-bootx64.efi"}),
    ],
)
def test_the_distribution_s_loader_becomes_it(
    tmp_path: Path, loaders: list[str], copied: dict[str, str]
) -> None:
    files = tree(tmp_path, *loaders)
    finding = fallback_finding(files, ESP, "x86_64")
    assert finding is not None
    assert "BOOTX64.EFI" in finding.message
    assert len(add_fallback(files, ESP, "x86_64")) == len(copied)
    for name, source in copied.items():
        assert files.read(f"{ESP}/EFI/BOOT/{name}").decode() == f"content of {source}"
    assert fallback_finding(files, ESP, "x86_64") is None


def test_without_any_loader(tmp_path: Path) -> None:
    files = tree(tmp_path, "debian/grub.cfg")
    assert add_fallback(files, ESP, "x86_64") == []


def test_the_partition_must_be_mounted(tmp_path: Path) -> None:
    files = tree(tmp_path, "BOOT/BOOTX64.EFI")
    assert find_esp(files, frozenset({"/"})) is None
    assert find_esp(files, frozenset({"/", ESP})) == ESP
    finding = fallback_finding(files, None, "x86_64")
    assert finding is not None
    assert "no EFI system partition" in finding.message
