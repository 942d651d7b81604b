# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vmdk.completeness import (
    check_ends,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vmdk.header import VmdkError
from ansible_collections.hypersdk.hyper2kvm.tests.support.stream_optimized import (
    StreamOptimizedWriter,
)
from ansible_collections.hypersdk.hyper2kvm.tests.unit.plugins.module_utils.vmdk.disks import (
    CAPACITY,
    SECTOR,
    esxi_layout,
    front_layout,
)


@pytest.fixture(scope="module")
def esxi(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return esxi_layout(tmp_path_factory.mktemp("esxi"))


@pytest.fixture(scope="module", params=["esxi", "front"])
def vmdk(request: pytest.FixtureRequest, esxi: bytes) -> bytes:
    return esxi if request.param == "esxi" else front_layout()


def check(data: bytes) -> int:
    return check_ends(io.BytesIO(data)).capacity_bytes


@pytest.mark.parametrize("padding", [0, SECTOR, 100 * SECTOR])
def test_whole(vmdk: bytes, padding: int) -> None:
    assert check(vmdk + bytes(padding)) == CAPACITY


@pytest.mark.parametrize("form", ["esxi", "front"])
def test_every_cut_is_noticed(esxi: bytes, form: str) -> None:
    data = esxi if form == "esxi" else front_layout()
    for size in sorted({*range(0, len(data.rstrip(b"\0")), 499), *range(4096)}):
        with pytest.raises(VmdkError):
            check(data[:size])
        if form == "esxi":
            # As a transfer leaves it that allocates the whole file first.
            with pytest.raises(VmdkError):
                check(data[: size - size % SECTOR].ljust(len(data), b"\0"))


def test_the_last_sector_alone_is_missing(esxi: bytes) -> None:
    with pytest.raises(VmdkError, match="ends early"):
        check(esxi[:-SECTOR])


def test_zeros_without_end(esxi: bytes) -> None:
    with pytest.raises(VmdkError, match="ends early"):
        check(esxi[:SECTOR] + bytes(2 << 20))


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [(12, 999 * 128, "another disk"), (56, 1 << 40, "behind itself"), (0, 0, "is missing")],
)
def test_the_footer_contradicts(esxi: bytes, at: int, value: int, message: str) -> None:
    changed = bytearray(esxi)
    struct.pack_into("<Q", changed, len(esxi) - 2 * SECTOR + at, value)
    with pytest.raises(VmdkError, match=message):
        check(bytes(changed))


def test_a_thin_disk_of_terabytes_is_looked_at_in_no_time(tmp_path: Path) -> None:
    path = tmp_path / "large.vmdk"
    with StreamOptimizedWriter(path, 4 << 40):
        pass
    with open(path, "rb") as file:
        assert check_ends(file).capacity_bytes == 4 << 40


def test_tables_of_any_size_may_be_claimed() -> None:
    changed = bytearray(front_layout())
    struct.pack_into("<QQ", changed, 12, 1 << 37, 8)  # capacity and grain, in sectors
    struct.pack_into("<I", changed, 44, 1)  # entries of a table: 64 GiB of directory
    with pytest.raises(VmdkError, match="ends early"):
        check(bytes(changed))


def test_tables_in_front_that_cannot_reach_the_end(tmp_path: Path) -> None:
    path = tmp_path / "front.vmdk"
    path.write_bytes(front_layout())
    os.truncate(path, (2 << 40) + SECTOR)  # a hole
    with open(path, "rb") as file, pytest.raises(VmdkError, match="reach no farther than 2 TiB"):
        check_ends(file)
