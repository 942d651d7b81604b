# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell whether a stream-optimized VMDK is there to its end, without reading what is between.

The two layouts are those that stream.py tells apart. Where the directory comes last, the file ends
in a footer and the end-of-stream marker; where it comes first, the tables name the last grain.
Neither shows a byte that was changed in the middle: StreamParser and a digest do.
"""

from __future__ import annotations

import os
import struct
from array import array
from typing import BinaryIO

from .header import SECTOR, SparseHeader, VmdkError, check_reach, damaged, parse_header

_FOOTER_MARKER = struct.pack("<QII", 1, 0, 3)
_GRAIN_MARKER = struct.Struct("<QI")
_GRAIN_DATA = 12
# Zeros may follow the end-of-stream marker, as padding to a block's end; nobody pads more than this.
_PADDING = 1 << 20
_STEP = 64 << 10
_NO_GRAIN = (0, 1)


def check_ends(file: BinaryIO) -> SparseHeader:
    """Check header, footer and markers of an open stream-optimized VMDK, and return its header.

    Args:
        file: The whole file, open for reading.

    Raises:
        VmdkError: It is damaged, or ends early.
        OSError: It can't be read.
    """
    size = file.seek(0, os.SEEK_END)
    header = parse_header(_read(file, 0, SECTOR))
    if size % SECTOR:
        raise _ends_early(size)
    if header.directory_at_end:
        _check_footer(file, size, header)
    else:
        _check_last_grain(file, size, header)
    return header


def _check_footer(file: BinaryIO, size: int, header: SparseHeader) -> None:
    end = _end_of_data(file, size)
    footer_at = end - SECTOR
    # The marker itself is a sector of zeros.
    if end == size or _read(file, footer_at - SECTOR, SECTOR)[:16] != _FOOTER_MARKER:
        raise _ends_early(size)
    footer = parse_header(_read(file, footer_at, SECTOR), footer_at)
    if (footer.capacity, footer.grain_size) != (header.capacity, header.grain_size):
        raise damaged("the footer describes another disk than the header", footer_at)
    if footer.directory_offset * SECTOR >= footer_at:
        raise damaged("the footer names a grain directory behind itself", footer_at)


def _end_of_data(file: BinaryIO, size: int) -> int:
    """Return where the last sector that is not all zeros ends, in bytes."""
    end = size
    while end > 0 and size - end < _PADDING:
        start = max(0, end - _STEP)
        data = _read(file, start, end - start).rstrip(b"\0")
        if data:
            return start + len(data) + -len(data) % SECTOR
        end = start
    raise _ends_early(size)


def _check_last_grain(file: BinaryIO, size: int, header: SparseHeader) -> None:
    check_reach(size)
    # Grains are written in rising order: the last table that has any names the last one.
    for table in reversed(_entries(file, header.directory_offset, header.tables)):
        last = max(_entries(file, table, header.table_entries))
        if last in _NO_GRAIN:
            continue
        at = last * SECTOR
        if at + SECTOR > size:
            raise _ends_early(size)
        sector, length = _GRAIN_MARKER.unpack(_read(file, at, _GRAIN_MARKER.size))
        if not length or sector >= header.capacity:
            raise damaged("the grain tables name a grain that isn't there", at)
        if at + _GRAIN_DATA + length > size:
            raise _ends_early(size)
        return


def _entries(file: BinaryIO, sector: int, count: int) -> array[int]:
    data = _read(file, sector * SECTOR, count * 4)
    entries = array("I", data)
    if struct.pack("=I", 1) != struct.pack("<I", 1):
        entries.byteswap()
    return entries


def _read(file: BinaryIO, start: int, length: int) -> bytes:
    size = file.seek(0, os.SEEK_END)
    # Before anything is read: a header may claim tables of any size.
    if start < 0 or start + length > size:
        raise _ends_early(size)
    file.seek(start)
    return file.read(length)


def _ends_early(end: int) -> VmdkError:
    return VmdkError(
        f"The VMDK ends early, at byte {end}: its end-of-stream marker or its last grain is missing.",
        action="The transfer was cut short; fetch the disk again.",
        offset=end,
    )
