# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.boot.modules import (
    ModuleIndex,
    module_name,
    parse_index,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support import linux_tree


def index(built_in: str = linux_tree.MODULES_BUILTIN) -> ModuleIndex:
    return parse_index(
        dependencies=linux_tree.MODULES_DEP,
        built_in=built_in,
        soft_dependencies=linux_tree.MODULES_SOFTDEP,
        aliases=linux_tree.MODULES_ALIAS,
    )


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("kernel/drivers/md/dm-mod.ko", "dm_mod"),
        ("usr/lib/modules/5.14/kernel/fs/xfs/xfs.ko.xz", "xfs"),
        ("kernel/fs/ext4/ext4.ko.zst", "ext4"),
        ("etc/modules", None),
        ("kernel/x/firmware.kobj", None),
    ],
)
def test_names(path: str, name: str | None) -> None:
    assert module_name(path) == name


def test_a_filesystem_needs_its_checksum_s_generic_driver_too() -> None:
    # crc32c_intel fails on a processor without SSE 4.2, such as QEMU's default one.
    needed = {"ext4", "crc16", "mbcache", "jbd2", "crc32c_generic"}
    assert set(index().closure("ext4")) == needed
    assert set(index().closure("xfs")) == {"xfs", "libcrc32c", "crc32c_generic"}


def test_what_is_built_in_needs_nothing() -> None:
    built = index("kernel/fs/ext4/ext4.ko\nkernel/crypto/crc32c_generic.ko\n")
    assert built.closure("ext4") == ()
    assert built.has("ext4")
    assert built.closure("xfs") == ("xfs", "libcrc32c")


def test_what_a_kernel_does_not_have() -> None:
    assert not index().has("btrfs")
    assert index().closure("btrfs") == ()
    assert index().has("rng_core")
