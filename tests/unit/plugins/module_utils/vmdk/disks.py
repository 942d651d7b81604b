# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small stream-optimized VMDKs in both layouts, made in memory for the tests of the decoder."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.support.stream_optimized import (
    StreamOptimizedWriter,
)

SECTOR = 512
GRAIN = 1 << 16
TABLE = 512 * GRAIN

# A disk of two tables whose last grain reaches past its end, with grains at both ends of a table.
CAPACITY = TABLE + 3 * GRAIN + 5 * SECTOR
CONTENT = {
    0: b"boot" * (GRAIN // 4),
    7: bytes(range(256)) * (GRAIN // 256),
    511: b"end of a table".ljust(GRAIN, b"."),
    512: b"begin of the next".ljust(GRAIN, b"!"),
    515: b"short".ljust(5 * SECTOR, b"-"),
}

_DESCRIPTOR = f"""# Disk DescriptorFile
version=1
CID=12345678
parentCID=ffffffff
createType="streamOptimized"
RW {CAPACITY // SECTOR} SPARSE "disk.vmdk"
ddb.adapterType = "ide"
""".encode()


def raw_image() -> bytes:
    """Return the disk that CONTENT describes."""
    image = bytearray(CAPACITY)
    for index, data in CONTENT.items():
        image[index * GRAIN : index * GRAIN + len(data)] = data
    return bytes(image)


def esxi_layout(directory: Path) -> bytes:
    """Return the disk as ESXi writes it: directory, footer and end marker behind the grains."""
    path = directory / "esxi.vmdk"
    with StreamOptimizedWriter(path, CAPACITY) as writer:
        for index, data in CONTENT.items():
            writer.add(index, zlib.compress(data.ljust(GRAIN, b"\0"), 1))
    return path.read_bytes()


def front_layout() -> bytes:
    """Return the disk as qemu-img writes it: directory and tables in front, zeros behind."""
    return _tables_in_front(
        1 | 1 << 16 | 1 << 17,
        lambda index, packed: struct.pack("<QI", index * (GRAIN // SECTOR), len(packed)) + packed,
    )


def unmarked_layout(*, sizes: bool) -> bytes:
    """Return the disk with grains that carry no address.

    Args:
        sizes: Whether each is preceded by its size, as open-vmdk reads it; without, the form is
            the one that qemu reads.
    """
    return _tables_in_front(
        1 | 1 << 16,
        lambda _index, packed: (struct.pack("<I", len(packed)) if sizes else b"") + packed,
    )


def _tables_in_front(flags: int, grain: Callable[[int, bytes], bytes]) -> bytes:
    tables = -(-CAPACITY // TABLE)
    first_table = 30
    overhead = 128
    body = bytearray()
    entries = [[0] * 512 for _table in range(tables)]
    for index, data in CONTENT.items():
        entries[index // 512][index % 512] = overhead + len(body) // SECTOR
        body += grain(index, zlib.compress(data.ljust(GRAIN, b"\0"), 1))
        body += bytes(-len(body) % SECTOR)
    header = struct.pack(
        "<4sIIQQQQIQQQB4sH",
        b"KDMV",
        3,
        flags,
        CAPACITY // SECTOR,
        GRAIN // SECTOR,
        1,
        20,
        512,
        0,
        29,
        overhead,
        0,
        b"\n \r\n",
        1,
    )
    front = bytearray(overhead * SECTOR)
    front[: len(header)] = header
    front[SECTOR : SECTOR + len(_DESCRIPTOR)] = _DESCRIPTOR
    directory = [first_table + 4 * table for table in range(tables)]
    struct.pack_into(f"<{tables}I", front, 29 * SECTOR, *directory)
    for table, row in zip(directory, entries):
        struct.pack_into("<512I", front, table * SECTOR, *row)
    return bytes(front + body + bytes(SECTOR))
