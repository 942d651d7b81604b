# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tests' own VMDK writer, byte by byte against the format's description."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support import compressible, stream_optimized
from ansible_collections.hypersdk.hyper2kvm.tests.support.stream_optimized import GRAIN, SECTOR

NO_TABLE = 0
TABLE_SPAN = 512 * GRAIN


def sparse_image(path: Path, size: int, extents: dict[int, bytes]) -> Path:
    """Write a raw image of holes with data at the given byte offsets."""
    with path.open("wb") as image:
        image.truncate(size)
        for offset, data in extents.items():
            image.seek(offset)
            image.write(data)
    return path


def vmdk_of(image: Path) -> bytes:
    target = image.with_suffix(".vmdk")
    stream_optimized.write(image, target, form="esxi")
    return target.read_bytes()


def footer_of(data: bytes) -> bytes:
    return data[-2 * SECTOR : -SECTOR]


def directory_of(data: bytes) -> list[int]:
    """Return the sectors of the grain tables, found through the footer as a reader does."""
    capacity = struct.unpack_from("<Q", footer_of(data), 12)[0]
    place = struct.unpack_from("<Q", footer_of(data), 56)[0] * SECTOR
    tables = -(-capacity * SECTOR // TABLE_SPAN)
    return list(struct.unpack_from(f"<{tables}I", data, place))


def grains_of(data: bytes) -> dict[int, bytes]:
    """Return the grains by number, read through directory and tables."""
    grains = {}
    for table_number, table in enumerate(directory_of(data)):
        entries = struct.unpack_from("<512I", data, table * SECTOR) if table else ()
        for entry, sector in enumerate(entries):
            if sector:
                lba, size = struct.unpack_from("<QI", data, sector * SECTOR)
                number = table_number * 512 + entry
                assert lba == number * 128
                start = sector * SECTOR + 12
                grains[number] = zlib.decompress(data[start : start + size])
    return grains


def test_the_header_says_that_the_directory_is_at_the_end(tmp_path: Path) -> None:
    data = vmdk_of(sparse_image(tmp_path / "disk.raw", 1 << 20, {0: b"boot"}))
    magic, version, flags, capacity, grain = struct.unpack_from("<4sIIQQ", data)
    assert (magic, version, flags) == (b"KDMV", 3, 0x30001)
    assert (capacity, grain) == (2048, 128)
    assert struct.unpack_from("<Q", data, 56)[0] == 2**64 - 1
    assert data[73:77] == b"\n \r\n"
    assert struct.unpack_from("<H", data, 77)[0] == 1


def test_the_descriptor_lies_where_the_header_says(tmp_path: Path) -> None:
    data = vmdk_of(sparse_image(tmp_path / "disk.raw", 1 << 20, {0: b"boot"}))
    offset, size = struct.unpack_from("<QQ", data, 28)
    text = data[offset * SECTOR : (offset + size) * SECTOR].rstrip(b"\0").decode()
    assert 'createType="streamOptimized"' in text
    assert 'RDONLY 2048 SPARSE "disk.vmdk"' in text


def test_the_file_ends_with_footer_and_end_of_stream_marker(tmp_path: Path) -> None:
    data = vmdk_of(sparse_image(tmp_path / "disk.raw", 1 << 20, {0: b"boot"}))
    assert data[-SECTOR:] == bytes(SECTOR)
    assert struct.unpack_from("<QII", data, len(data) - 3 * SECTOR) == (1, 0, 3)
    footer = footer_of(data)
    assert footer[:56] == data[:56]
    directory = struct.unpack_from("<Q", footer, 56)[0]
    marker = (directory - 1) * SECTOR
    assert struct.unpack_from("<QII", data, marker) == (1, 0, 2)


def test_grains_are_found_with_their_data_and_holes_are_left_out(tmp_path: Path) -> None:
    extents = {
        5: b"first",
        3 * GRAIN - 2: b"over the edge",
        TABLE_SPAN * 2 + 7 * GRAIN: b"third table",
        TABLE_SPAN * 3 - 1: b"\1",
    }
    image = sparse_image(tmp_path / "disk.raw", TABLE_SPAN * 3, extents)
    data = vmdk_of(image)
    raw = image.read_bytes()
    expected = {
        n: raw[n * GRAIN : (n + 1) * GRAIN]
        for n in range(len(raw) // GRAIN)
        if any(raw[n * GRAIN : (n + 1) * GRAIN])
    }
    assert grains_of(data) == expected
    assert sorted(expected) == [0, 2, 3, 1031, 1535]
    assert directory_of(data)[1] == NO_TABLE


def test_each_table_follows_its_grains_behind_a_marker(tmp_path: Path) -> None:
    image = sparse_image(tmp_path / "disk.raw", TABLE_SPAN * 2, {0: b"a", TABLE_SPAN: b"b"})
    data = vmdk_of(image)
    first, second = directory_of(data)
    for table in (first, second):
        assert struct.unpack_from("<QII", data, (table - 1) * SECTOR) == (4, 0, 1)
    grain_of_first = struct.unpack_from("<I", data, first * SECTOR)[0]
    grain_of_second = struct.unpack_from("<I", data, second * SECTOR)[0]
    assert 128 == grain_of_first < first < grain_of_second < second


def test_grains_that_are_written_but_zero_are_left_out(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(bytes(4 * GRAIN) + b"x" * GRAIN)
    assert list(grains_of(vmdk_of(image))) == [4]


def test_a_last_grain_that_the_disk_cuts_short_is_filled_up(tmp_path: Path) -> None:
    image = sparse_image(tmp_path / "disk.raw", GRAIN + SECTOR, {GRAIN: b"tail"})
    data = vmdk_of(image)
    assert struct.unpack_from("<Q", data, 12)[0] == 129
    assert grains_of(data) == {1: b"tail".ljust(GRAIN, b"\0")}


def test_an_empty_disk_has_a_directory_without_tables(tmp_path: Path) -> None:
    data = vmdk_of(sparse_image(tmp_path / "disk.raw", TABLE_SPAN * 2, {}))
    assert directory_of(data) == [NO_TABLE, NO_TABLE]


def test_a_disk_of_broken_sectors_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match="100 bytes"):
        stream_optimized.write(image, tmp_path / "disk.vmdk")


def test_what_fails_leaves_no_file(tmp_path: Path) -> None:
    target = tmp_path / "disk.vmdk"
    with (
        pytest.raises(ValueError, match="can't follow"),
        stream_optimized.StreamOptimizedWriter(target, 4 * GRAIN) as writer,
    ):
        writer.add(2, stream_optimized.deflate_grain(b"x"))
        writer.add(2, stream_optimized.deflate_grain(b"x"))
    assert not target.exists()


def test_data_for_the_benchmark_compresses_about_two_to_one(tmp_path: Path) -> None:
    size = 8 << 20
    compressible.write(tmp_path / "disk.raw", size, form="raw")
    compressible.write(tmp_path / "disk.vmdk", size)
    raw, data = (tmp_path / "disk.raw").read_bytes(), (tmp_path / "disk.vmdk").read_bytes()
    assert b"".join(content for _place, content in sorted(grains_of(data).items())) == raw
    assert 1.7 < len(raw) / len(data) < 2.3
    compressible.write(tmp_path / "again.raw", size, form="raw")
    assert (tmp_path / "again.raw").read_bytes() == raw
