# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vmdk.decode import decode_file
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vmdk.header import VmdkError
from ansible_collections.hypersdk.hyper2kvm.tests.unit.plugins.module_utils.vmdk.disks import (
    CAPACITY,
    esxi_layout,
    raw_image,
)


@pytest.fixture
def vmdk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.vmdk"
    path.write_bytes(esxi_layout(tmp_path))
    return path


def test_writes_a_sparse_image(vmdk: Path, tmp_path: Path) -> None:
    target = tmp_path / "disk.raw"
    assert decode_file(vmdk, target, expected_capacity=CAPACITY) == CAPACITY
    assert target.read_bytes() == raw_image()
    assert target.stat().st_blocks * 512 < CAPACITY / 10


def test_damage_leaves_no_image(vmdk: Path, tmp_path: Path) -> None:
    data = bytearray(vmdk.read_bytes())
    (size,) = struct.unpack_from("<I", data, 128 * 512 + 8)
    data[128 * 512 + 12 + size - 1] ^= 1  # the last byte of the first grain's Adler-32
    vmdk.write_bytes(data)
    with pytest.raises(VmdkError, match=f"{vmdk}.*can't be decompressed"):
        decode_file(vmdk, tmp_path / "disk.raw")
    assert [path.name for path in tmp_path.glob("disk.raw*")] == []


def test_a_cut_file_keeps_the_older_image(vmdk: Path, tmp_path: Path) -> None:
    target = tmp_path / "disk.raw"
    target.write_bytes(b"older")
    vmdk.write_bytes(vmdk.read_bytes()[:-512])
    with pytest.raises(VmdkError, match="ends early"):
        decode_file(vmdk, target)
    assert target.read_bytes() == b"older"


def test_progress_reaches_the_end(vmdk: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    decode_file(vmdk, tmp_path / "disk.raw", on_progress=lambda *at: seen.append(at))
    assert seen[-1] == (vmdk.stat().st_size, vmdk.stat().st_size)
