# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell whether an image is there to its end, by what its own tables say: a few reads, whatever its size.

The layouts' sources are named in images.py. What was changed in the middle only a digest shows.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ..vmdk.completeness import check_ends
from ..vmdk.header import SECTOR, VmdkError
from .findings import ManifestError
from .images import VHDX_REGIONS, Image

_AGAIN = "The file is not complete: export or copy it again."
#: Entries of an L1 table of qcow2: with clusters of 64 KiB so many describe 512 TiB, in 8 MiB.
_L1_LIMIT = 1 << 20


def check_structure(path: Path, image: Image) -> None:
    """Check that the file holds everything that its header and tables place in it.

    Args:
        path: The image's file.
        image: What it is by its header.

    Raises:
        ManifestError: It doesn't, or can't be read.
    """
    check = _CHECKS.get((image.source_format, image.variant)) or _CHECKS.get(
        (image.source_format, "")
    )
    if check is None:
        return
    try:
        with open(path, "rb") as file:
            for what, end in check(file, image):
                if end > image.size:
                    raise ManifestError(
                        f"The disk {path} ends at byte {image.size}, and {what} reaches to byte {end}.",
                        action=_AGAIN,
                    )
    except VmdkError as error:
        raise ManifestError(f"{path}: {error.message}", action=error.action or _AGAIN) from error
    except struct.error as error:
        raise ManifestError(
            f"The disk {path} ends within its own tables.", action=_AGAIN
        ) from error
    except OSError as error:
        raise ManifestError(f"The disk {path} can't be read: {error.strerror or error}.") from error


#: Yields what must be in the file, and where it ends, in bytes.
_Check = Callable[[BinaryIO, Image], Iterator["tuple[str, int]"]]


def _stream_optimized(file: BinaryIO, _image: Image) -> Iterator[tuple[str, int]]:
    check_ends(file)
    return iter(())


def _monolithic_sparse(file: BinaryIO, _image: Image) -> Iterator[tuple[str, int]]:
    """SparseExtentHeader: numGTEsPerGT at 44, rgdOffset at 48, gdOffset at 56; tables named by the directory."""
    capacity, grain = struct.unpack("<QQ", _at(file, 12, 16))
    entries, _redundant, directory = struct.unpack("<IQQ", _at(file, 44, 20))
    if not grain or not entries:
        yield "its grain directory", directory * SECTOR
        return
    tables = -(-capacity // (grain * entries))
    yield "its grain directory", directory * SECTOR + tables * 4
    named = struct.unpack(f"<{tables}I", _at(file, directory * SECTOR, tables * 4))
    yield "its last grain table", max(named) * SECTOR + entries * 4
    last = struct.unpack(f"<{entries}I", _at(file, max(named) * SECTOR, entries * 4))
    # Its first sector is enough to ask for: a disk's last grain may be shorter than the others.
    yield "a grain", (max(last) + 1) * SECTOR


def _qcow2(file: BinaryIO, _image: Image) -> Iterator[tuple[str, int]]:
    """cluster_bits at 20, l1_size at 36, l1_table_offset at 40; bits 9 to 55 of an entry are an L2 table's place."""
    (bits,) = struct.unpack(">I", _at(file, 20, 4))
    entries, table = struct.unpack(">IQ", _at(file, 36, 12))
    yield "its L1 table", table + entries * 8
    if entries <= _L1_LIMIT and 9 <= bits <= 21:
        named = struct.unpack(f">{entries}Q", _at(file, table, entries * 8))
        places = [each & 0x00FFFFFFFFFFFE00 for each in named]
        yield "its last L2 table", max((each + (1 << bits) for each in places if each), default=0)


def _vhd(file: BinaryIO, image: Image) -> Iterator[tuple[str, int]]:
    """The footer is the last sector; in front of it a fixed image has the whole disk."""
    for length in (SECTOR, SECTOR - 1):
        footer = _at(file, max(0, image.size - length), length)
        if footer[:8] == b"conectix":
            (current,) = struct.unpack_from(">Q", footer, 48)
            if image.variant == "fixed":
                yield "the disk before its footer", current + length
            return
    yield "its footer, which is missing,", image.size + SECTOR


def _vdi(file: BinaryIO, _image: Image) -> Iterator[tuple[str, int]]:
    """offData at 344, cbBlock at 376, cBlocksAllocated at 388."""
    (data,) = struct.unpack("<I", _at(file, 344, 4))
    block, _extra, _blocks, allocated = struct.unpack("<IIII", _at(file, 376, 16))
    yield "its last block", data + block * allocated


def _vhdx(file: BinaryIO, _image: Image) -> Iterator[tuple[str, int]]:
    """The region table names the metadata and the block allocation table."""
    table = _at(file, VHDX_REGIONS, 64 * 1024)
    if table[:4] != b"regi":
        yield "its region table, which is damaged,", VHDX_REGIONS
        return
    (count,) = struct.unpack_from("<I", table, 8)
    for index in range(min(count, 2047)):
        offset, length = struct.unpack_from("<QI", table, 16 + 32 * index + 16)
        yield "one of its regions", offset + length


def _at(file: BinaryIO, start: int, length: int) -> bytes:
    # Before anything is read: a header may claim tables of any size.
    if start + length > file.seek(0, os.SEEK_END):
        raise struct.error
    file.seek(start)
    return file.read(length)


_CHECKS: dict[tuple[str, str], _Check] = {
    ("vmdk", "streamOptimized"): _stream_optimized,
    ("vmdk", "monolithicSparse"): _monolithic_sparse,
    ("qcow2", ""): _qcow2,
    ("vhd", ""): _vhd,
    ("vdi", ""): _vdi,
    ("vhdx", ""): _vhdx,
}
