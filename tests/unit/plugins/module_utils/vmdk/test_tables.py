# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""VMDKs whose grains carry no address, read by their tables."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vmdk.decode import (
    decode_file,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vmdk.header import VmdkError
from ansible_collections.hypersdk.hyper2kvm.tests.unit.plugins.module_utils.vmdk.disks import (
    CAPACITY,
    raw_image,
    unmarked_layout,
)

FORMS = {sizes: unmarked_layout(sizes=sizes) for sizes in (True, False)}
FIRST_TABLE, FIRST_GRAIN = 30 * 512, 128 * 512


@pytest.fixture(params=[True, False], ids=["with-sizes", "without"])
def vmdk(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "disk.vmdk"
    path.write_bytes(FORMS[request.param])
    return path


def test_decodes(vmdk: Path, tmp_path: Path) -> None:
    target = tmp_path / "disk.raw"
    seen: list[tuple[int, int]] = []
    capacity = decode_file(vmdk, target, on_progress=lambda *at: seen.append(at))
    assert capacity == CAPACITY
    assert target.read_bytes() == raw_image()
    assert seen[-1] == (vmdk.stat().st_size, vmdk.stat().st_size)


def test_capacity_is_held_against_the_device(vmdk: Path, tmp_path: Path) -> None:
    with pytest.raises(VmdkError, match="the disk's 512"):
        decode_file(vmdk, tmp_path / "disk.raw", expected_capacity=512)


@pytest.mark.parametrize(
    ("offset", "value", "said"),
    [
        (FIRST_TABLE, 1 << 30, "behind the end of the file"),
        (FIRST_TABLE, 3, "no compressed grain begins"),
        (29 * 512, 1 << 30, "behind the end of the file"),
        # Entry 4 of the second table lies past the disk's end.
        (FIRST_TABLE + 2048 + 4 * 4, 128, "past the disk's end"),
    ],
)
def test_damaged_tables_are_named(
    vmdk: Path, tmp_path: Path, offset: int, value: int, said: str
) -> None:
    data = bytearray(vmdk.read_bytes())
    struct.pack_into("<I", data, offset, value)
    vmdk.write_bytes(data)
    with pytest.raises(VmdkError, match=said):
        decode_file(vmdk, tmp_path / "disk.raw")
    assert not list(tmp_path.glob("disk.raw*"))


def test_a_cut_file_is_refused(vmdk: Path, tmp_path: Path) -> None:
    vmdk.write_bytes(vmdk.read_bytes()[: FIRST_GRAIN + 20])
    with pytest.raises(VmdkError):
        decode_file(vmdk, tmp_path / "disk.raw")


@settings(deadline=None)  # other work of the machine is no failure
@given(st.data())
def test_damage_never_crashes(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("damaged")
    content = bytearray(FORMS[data.draw(st.booleans())])
    for _turn in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = directory / "disk.vmdk"
    path.write_bytes(content)
    try:
        decode_file(path, directory / "disk.raw", expected_capacity=CAPACITY)
    except VmdkError:
        return
    assert (directory / "disk.raw").stat().st_size == CAPACITY


def test_a_file_that_its_tables_cannot_reach_is_refused(vmdk: Path, tmp_path: Path) -> None:
    with vmdk.open("r+b") as file:
        file.truncate((2 << 40) + 512)  # a hole
    with pytest.raises(VmdkError, match="reach no farther than 2 TiB"):
        decode_file(vmdk, tmp_path / "disk.raw")
