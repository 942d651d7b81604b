# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the grains of a compressed VMDK through its tables, where they carry no address themselves.

Bit 17 of the header's flags says that grains have markers with their address ("embedded LBA"), and
whatever is made to be streamed has them. A file without can only be read by its grain directory
and tables. What stands in front of such a grain's data is written nowhere: open-vmdk reads its size
in four bytes, qemu's block driver nothing. Both are understood here.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from .header import SECTOR, SparseHeader, check_reach, damaged, parse_header
from .stream import EMPTY_ENTRIES, Grain

_SIZE = struct.Struct("<I")
# The footer and the end-of-stream marker are a file's last two sectors.
_FOOTER_FROM_END = 2 * SECTOR


def table_grains(file: BinaryIO, header: SparseHeader) -> Iterator[Grain]:
    """Yield the grains of a VMDK in the order of their addresses.

    Memory is that of one grain table.

    Args:
        file: The VMDK, at any position.
        header: What it begins with.

    Raises:
        VmdkError: A table or a grain lies where it can't.
        OSError: The file can't be read.
    """
    end = file.seek(0, os.SEEK_END)
    check_reach(end)
    directory = _directory_offset(file, header, end)
    for index in range(header.tables):
        (table,) = struct.unpack("<I", _read(file, directory * SECTOR + 4 * index, 4, end))
        if not table:
            continue
        first = index * header.table_entries
        entries = _read(file, table * SECTOR, 4 * header.table_entries, end)
        for slot, (sector,) in enumerate(struct.iter_unpack("<I", entries), first):
            if sector not in EMPTY_ENTRIES:
                yield _grain(file, header, slot, sector * SECTOR, end)


def _directory_offset(file: BinaryIO, header: SparseHeader, end: int) -> int:
    if not header.directory_at_end:
        return header.directory_offset
    start = end - _FOOTER_FROM_END
    footer = parse_header(_read(file, start, SECTOR, end), start)
    if footer.directory_at_end or footer.capacity != header.capacity:
        raise damaged("the footer doesn't say where the grain directory is", start)
    return footer.directory_offset


def _grain(file: BinaryIO, header: SparseHeader, slot: int, offset: int, end: int) -> Grain:
    start = slot * header.grain_bytes
    if start >= header.capacity_bytes:
        raise damaged(f"a grain table names a grain at byte {start}, past the disk's end", offset)
    head = _read(file, offset, _SIZE.size, end)
    longest = header.longest_grain
    (size,) = _SIZE.unpack(head)
    if size <= longest and offset + _SIZE.size + size <= end:
        data = _read(file, offset + _SIZE.size, size, end)
        if _begins_zlib(data):
            return Grain(start, data, offset)
    if not _begins_zlib(head):
        raise damaged("no compressed grain begins there", offset)
    # Its end is in the data itself; what follows belongs to the next.
    return Grain(start, _read(file, offset, min(longest, end - offset), end), offset)


def _begins_zlib(data: bytes) -> bool:
    """Tell whether these bytes are a zlib header (RFC 1950, 2.2)."""
    return len(data) >= 2 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0


def _read(file: BinaryIO, offset: int, size: int, end: int) -> bytes:
    if offset + size > end:
        raise damaged(f"something at byte {offset} lies behind the end of the file", end)
    file.seek(offset)
    return file.read(size)
