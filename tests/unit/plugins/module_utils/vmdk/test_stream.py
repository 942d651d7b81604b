# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vmdk.header import (
    VmdkError,
    WrongDisk,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vmdk.inflate import inflate
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vmdk.stream import StreamParser
from ansible_collections.hypersdk.hyper2kvm.tests.unit.plugins.module_utils.vmdk.disks import (
    CAPACITY,
    CONTENT,
    GRAIN,
    SECTOR,
    esxi_layout,
    front_layout,
)

DISK = {
    index * GRAIN: data.ljust(min(GRAIN, CAPACITY - index * GRAIN), b"\0")
    for index, data in CONTENT.items()
}


@pytest.fixture(scope="module", params=["esxi", "front"])
def vmdk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    if request.param == "esxi":
        return esxi_layout(tmp_path_factory.mktemp("esxi"))
    return front_layout()


@pytest.fixture(scope="module")
def esxi(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return esxi_layout(tmp_path_factory.mktemp("esxi"))


def decode(data: bytes, piece: int = 1 << 20, capacity: int | None = None) -> dict[int, bytes]:
    """Read a VMDK in pieces and return its grains by their place on the disk, in bytes."""
    parser = StreamParser(capacity)
    disk = {}
    for start in range(0, len(data), piece):
        for grain in parser.feed(data[start : start + piece]):
            disk[grain.start] = inflate(grain, GRAIN, min(GRAIN, CAPACITY - grain.start))
    parser.finish()
    return disk


@pytest.mark.parametrize("piece", [1 << 20, 4096, 511, 97])
def test_decodes_whatever_the_pieces(vmdk: bytes, piece: int) -> None:
    assert decode(vmdk, piece) == DISK


def test_every_cut_is_noticed(vmdk: bytes) -> None:
    # The last sector of the layout with the tables in front is padding, and may be missing.
    whole = len(vmdk) - SECTOR if vmdk == front_layout() else len(vmdk)
    for cut in [*range(0, whole, 4093), whole - SECTOR, whole - 1]:
        with pytest.raises(VmdkError):
            decode(vmdk[:cut])


def test_a_missing_grain_is_noticed(esxi: bytes) -> None:
    # Grain 7 is turned into a copy of grain 0's address: the tables then name another one.
    position = esxi.index(struct.pack("<Q", 7 * GRAIN // SECTOR), 128 * SECTOR)
    broken = bytearray(esxi)
    struct.pack_into("<Q", broken, position, 8 * GRAIN // SECTOR)
    with pytest.raises(VmdkError, match="grain tables name other grains"):
        decode(bytes(broken))


@pytest.mark.parametrize("shift", [1 << 32, (1 << 32) - 128, (1 << 32) - 133, 1 << 35])
def test_behind_2_tib_the_tables_wrap_round(esxi: bytes, shift: int) -> None:
    """As if as many sectors stood in front of the grains: 32 bits can't name their places."""
    far = shifted(esxi, shift)
    assert decode_far(far, shift) == DISK
    far[far.index(struct.pack("<Q", 511 * GRAIN // SECTOR), 128 * SECTOR)] ^= 0x80
    with pytest.raises(VmdkError, match="grain tables name other grains"):
        decode_far(far, shift)


def decode_far(data: bytearray, shift: int) -> dict[int, bytes]:
    parser = StreamParser()
    parser.feed(data[: 128 * SECTOR])
    parser._base += shift * SECTOR
    grains = parser.feed(data[128 * SECTOR :])
    parser.finish()
    return {
        grain.start: inflate(grain, GRAIN, min(GRAIN, CAPACITY - grain.start)) for grain in grains
    }


def shifted(esxi: bytes, shift: int) -> bytearray:
    """Return a VMDK whose tables, directory and footer name places so many sectors farther."""
    data = bytearray(esxi)
    at = 128 * SECTOR
    while at < len(data):
        sectors, size, kind = struct.unpack_from("<QII", data, at)
        if size:
            at += -(-(12 + size) // SECTOR) * SECTOR
            continue
        at += SECTOR
        end = at + sectors * SECTOR
        if kind in (1, 2):
            entries = struct.unpack(f"<{(end - at) // 4}I", data[at:end])
            moved = [(entry + shift) % (1 << 32) if entry else 0 for entry in entries]
            struct.pack_into(f"<{len(moved)}I", data, at, *moved)
        elif kind == 3:
            (directory,) = struct.unpack_from("<Q", data, at + 56)
            struct.pack_into("<Q", data, at + 56, directory + shift)
        at = end
    return data


def test_capacity_is_held_against_the_device(vmdk: bytes) -> None:
    with pytest.raises(WrongDisk, match=f"capacity is {CAPACITY} bytes, the disk's 512"):
        decode(vmdk, capacity=512)


def test_data_behind_the_end_is_refused(vmdk: bytes) -> None:
    with pytest.raises(VmdkError, match="data follows the end-of-stream marker"):
        decode(vmdk + bytes(2 * SECTOR) + b"x")


def test_text_mode_transfer_is_named(vmdk: bytes) -> None:
    broken = vmdk[:73] + b"\n" + vmdk[74:]
    broken = broken.replace(b"\n \r\n", b"\n \n\n", 1)
    with pytest.raises(VmdkError, match="text mode"):
        decode(broken)


def test_a_grain_that_yields_too_much_is_refused(esxi: bytes) -> None:
    parser = StreamParser()
    grain = parser.feed(esxi)[0]
    with pytest.raises(VmdkError, match=f"at byte {128 * SECTOR}"):
        inflate(grain, GRAIN // 2, GRAIN // 2)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_damage_never_passes_and_never_crashes(data: st.DataObject) -> None:
    """A changed byte is refused, or changes nothing: no other error, no other disk."""
    vmdk = data.draw(st.sampled_from(FUZZED))
    position = data.draw(st.integers(0, len(vmdk) - 1))
    broken = bytearray(vmdk)
    broken[position] ^= data.draw(st.integers(1, 255))
    try:
        image = decode(bytes(broken), data.draw(st.sampled_from([1 << 20, 1000])))
    except VmdkError:
        return
    assert image == DISK


@settings(max_examples=200, deadline=None)
@given(noise=st.binary(max_size=8192), keep=st.integers(0, 4096))
def test_noise_is_refused(noise: bytes, keep: int) -> None:
    with pytest.raises(VmdkError):
        decode(FUZZED[0][:keep] + noise)


FUZZED = [front_layout()]


@pytest.fixture(scope="module", autouse=True)
def _fuzz_both_layouts(esxi: bytes) -> None:
    if len(FUZZED) == 1:
        FUZZED.append(esxi)
