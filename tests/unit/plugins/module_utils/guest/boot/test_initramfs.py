# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import bz2
import gzip
import lzma

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.boot.initramfs import (
    InitramfsError,
    list_files,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.linux_tree import cpio, initramfs

NAMES = frozenset({"init", "usr/lib/modules/6.1/kernel/fs/ext4/ext4.ko"})


def lzma_alone(content: bytes) -> bytes:
    return lzma.compress(content, format=lzma.FORMAT_ALONE)


@pytest.mark.parametrize(
    "compress", [bytes, gzip.compress, lzma.compress, bz2.compress, lzma_alone]
)
def test_an_archive_however_compressed(compress: object) -> None:
    assert callable(compress)
    assert list_files(compress(cpio(NAMES, b"four"))) == dict.fromkeys(NAMES, 4)


def test_names_are_the_same_however_they_are_written() -> None:
    assert list_files(cpio(["./etc/fstab", "/bin/sh"])).keys() == {"etc/fstab", "bin/sh"}


def test_microcode_in_front_and_zeros_between() -> None:
    image = initramfs(["ext4"])
    assert "kernel/x86/microcode/GenuineIntel.bin" in list_files(image)
    assert any(name.endswith("/ext4.ko") for name in list_files(image))
    spaced = cpio(["early"]) + bytes(10_000) + gzip.compress(cpio(["late"])) + bytes(700)
    assert list_files(spaced + gzip.compress(cpio(["last"]))).keys() == {"early", "late", "last"}


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress])
def test_one_that_ends_early(compress: object) -> None:
    assert callable(compress)
    image = compress(cpio(NAMES, bytes(range(256)) * 64))
    with pytest.raises(InitramfsError, match=r"early|damaged"):
        list_files(image[: len(image) // 2])


@pytest.mark.parametrize("image", [b"", bytes(8192), b"not an initramfs", cpio(["a"]) + b"rubbish"])
def test_what_is_none(image: bytes) -> None:
    with pytest.raises(InitramfsError):
        list_files(image)


def test_a_damaged_header() -> None:
    image = bytearray(cpio(["init"]))
    image[54:62] = b"zzzzzzzz"
    with pytest.raises(InitramfsError, match="damaged"):
        list_files(bytes(image))
