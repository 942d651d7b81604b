# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write stream-optimized VMDKs the way ESXi does, for tests to read.

Written from VMware's technical note "Virtual Disk Format 5.0", apart from the
collection's own decoder, so that a misreading in one is not hidden by the same
misreading in the other. What qemu-img makes of the result is the referee.

A file in ESXi's form is only ever appended to: header, descriptor, then per
grain table its grains and the table itself behind a marker, then the grain
directory, a footer (the header once more, now with the directory's place) and
the end-of-stream marker as the very last sector. All sizes in the file are in
sectors of 512 bytes.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import os
import struct
import subprocess
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

SECTOR = 512
GRAIN_SECTORS = 128
GRAIN = GRAIN_SECTORS * SECTOR
TABLE_ENTRIES = 512
DESCRIPTOR_SECTORS = 20

MARKER_END_OF_STREAM = 0
MARKER_GRAIN_TABLE = 1
MARKER_GRAIN_DIRECTORY = 2
MARKER_FOOTER = 3

DIRECTORY_AT_END = (1 << 64) - 1
FLAG_NEWLINE_TEST = 1 << 0
FLAG_COMPRESSED = 1 << 16
FLAG_MARKERS = 1 << 17

FORMS = ("esxi", "qemu")

# Grains that one task of the pool compresses: few enough that the tasks in
# flight stay small (4 MiB each), enough that handing them over costs nothing.
BATCH = 64

_ZERO_GRAIN = bytes(GRAIN)


class StreamOptimizedWriter:
    """Append grains, in rising order, to a stream-optimized VMDK in ESXi's form.

    Use it as a context manager: a normal end writes the directory, the footer
    and the end-of-stream marker; an error removes the file.

    Args:
        target: The VMDK to write; it must not exist.
        capacity: The disk's size in bytes, a multiple of 512.
    """

    def __init__(self, target: Path, capacity: int) -> None:
        if capacity <= 0 or capacity % SECTOR:
            raise ValueError(f"A disk of {capacity} bytes is no whole number of sectors.")
        self._target = target
        self._capacity = capacity
        self._grains = -(-capacity // GRAIN)
        self._directory = [0] * -(-self._grains // TABLE_ENTRIES)
        self._table = [0] * TABLE_ENTRIES
        self._table_index = 0
        self._last_grain = -1
        self._sector = 0
        self._file: BinaryIO = target.open("xb", buffering=1 << 20)
        self._append(_header(capacity, DIRECTORY_AT_END))
        self._append(_descriptor(target.name, capacity))
        self._append(bytes((GRAIN_SECTORS - self._sector) * SECTOR))

    def __enter__(self) -> StreamOptimizedWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except BaseException:
            self._target.unlink()
            raise
        finally:
            self._file.close()
        if kind is not None:
            self._target.unlink()

    def add(self, grain: int, deflated: bytes) -> None:
        """Append one grain.

        Args:
            grain: Its number, from 0; higher than the one before.
            deflated: Its 65,536 bytes as a zlib stream (RFC 1950).
        """
        if not self._last_grain < grain < self._grains:
            raise ValueError(f"Grain {grain} can't follow {self._last_grain} of {self._grains}.")
        self._last_grain = grain
        table, entry = divmod(grain, TABLE_ENTRIES)
        if table != self._table_index:
            self._write_table()
            self._table_index = table
        self._table[entry] = self._sector
        self._append(struct.pack("<QI", grain * GRAIN_SECTORS, len(deflated)), deflated)

    def _write_table(self) -> None:
        """Append the grain table at hand, unless none of its grains has data."""
        if not any(self._table):
            return
        table = struct.pack(f"<{TABLE_ENTRIES}I", *self._table)
        self._append(_marker(MARKER_GRAIN_TABLE, len(table) // SECTOR))
        self._directory[self._table_index] = self._sector
        self._append(table)
        self._table = [0] * TABLE_ENTRIES

    def _finish(self) -> None:
        self._write_table()
        directory = _padded(struct.pack(f"<{len(self._directory)}I", *self._directory))
        self._append(_marker(MARKER_GRAIN_DIRECTORY, len(directory) // SECTOR))
        directory_sector = self._sector
        self._append(directory)
        self._append(_marker(MARKER_FOOTER, 1))
        self._append(_header(self._capacity, directory_sector))
        self._append(_marker(MARKER_END_OF_STREAM, 0))
        self._file.flush()

    def _append(self, *parts: bytes) -> None:
        data = _padded(b"".join(parts))
        self._file.write(data)
        self._sector += len(data) // SECTOR


def write(source_raw: Path, target_vmdk: Path, *, form: str = "esxi", threads: int = 2) -> None:
    """Write a raw image as a stream-optimized VMDK.

    Holes and grains of zeros are left out. Memory stays at a few MiB a thread
    whatever the disk's size.

    Args:
        source_raw: The raw image; its size is the disk's capacity.
        target_vmdk: The file to write; it must not exist.
        form: "esxi" (directory, footer and end-of-stream marker at the end) or
            "qemu" (what qemu-img makes: the directory in front, no footer).
        threads: Compressing threads, for ESXi's form.
    """
    if form == "qemu":
        if target_vmdk.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target_vmdk))
        subprocess.run(
            [
                "qemu-img",
                "convert",
                "-f",
                "raw",
                "-O",
                "vmdk",
                "-o",
                "subformat=streamOptimized",
                "--",
                str(source_raw),
                str(target_vmdk),
            ],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        return
    if form != "esxi":
        raise ValueError(f"Unknown form {form!r}; known are {', '.join(FORMS)}.")
    capacity = source_raw.stat().st_size
    with (
        source_raw.open("rb", buffering=0) as source,
        StreamOptimizedWriter(target_vmdk, capacity) as writer,
        ThreadPoolExecutor(threads) as pool,
    ):
        pending: deque[Future[list[tuple[int, bytes]]]] = deque()
        for first, count in _batches(_data_grains(source.fileno(), capacity)):
            pending.append(pool.submit(_deflate, source.fileno(), first, count))
            if len(pending) > 2 * threads:
                _add_all(writer, pending.popleft())
        while pending:
            _add_all(writer, pending.popleft())


def _add_all(writer: StreamOptimizedWriter, batch: Future[list[tuple[int, bytes]]]) -> None:
    for grain, deflated in batch.result():
        writer.add(grain, deflated)


def deflate_grain(data: bytes) -> bytes:
    """Return a grain's data, filled up with zeros to its full size, as a zlib stream."""
    return zlib.compress(data.ljust(GRAIN, b"\0"), 1)


def _deflate(descriptor: int, first: int, count: int) -> list[tuple[int, bytes]]:
    data = os.pread(descriptor, count * GRAIN, first * GRAIN)
    grains = ((first + n, data[n * GRAIN : (n + 1) * GRAIN]) for n in range(count))
    return [
        (grain, deflate_grain(content))
        for grain, content in grains
        if content != _ZERO_GRAIN[: len(content)]
    ]


def _data_grains(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield (first, end) of the runs of grains that hold data, from the file's own map."""
    position, done = 0, 0
    while position < size:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole from here to the end
                return
            raise
        position = os.lseek(descriptor, start, os.SEEK_HOLE)
        first, end = max(start // GRAIN, done), -(-position // GRAIN)
        if first < end:
            yield first, end
            done = end


def _batches(runs: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for first, end in runs:
        for start in range(first, end, BATCH):
            yield start, min(BATCH, end - start)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % SECTOR)


def _marker(kind: int, sectors: int) -> bytes:
    """Return a metadata marker: how many sectors follow it, a size of 0, its type."""
    return struct.pack("<QII496x", sectors, 0, kind)


def _header(capacity: int, directory_sector: int) -> bytes:
    """Return the SparseExtentHeader, in version 3 as ESXi writes it."""
    return struct.pack(
        "<4sIIQQQQIQQQBccccH433x",
        b"KDMV",
        3,
        FLAG_NEWLINE_TEST | FLAG_COMPRESSED | FLAG_MARKERS,
        capacity // SECTOR,
        GRAIN_SECTORS,
        1,  # the descriptor's place
        DESCRIPTOR_SECTORS,
        TABLE_ENTRIES,
        0,  # no redundant grain directory
        directory_sector,
        GRAIN_SECTORS,  # sectors before the first grain
        0,  # no unclean shutdown
        b"\n",
        b" ",
        b"\r",
        b"\n",
        1,  # deflate
    )


def _descriptor(name: str, capacity: int) -> bytes:
    """Return the embedded descriptor, filled up to the room that the header names."""
    sectors = capacity // SECTOR
    identity = hashlib.sha256(f"{name} {capacity}".encode()).hexdigest()
    heads, per_track = 255, 63
    text = f"""\
# Disk DescriptorFile
version=1
CID={identity[:8]}
parentCID=ffffffff
createType="streamOptimized"

# Extent description
RDONLY {sectors} SPARSE "{name}"

# The Disk Data Base
#DDB

ddb.adapterType = "lsilogic"
ddb.geometry.cylinders = "{max(1, sectors // (heads * per_track))}"
ddb.geometry.heads = "{heads}"
ddb.geometry.sectors = "{per_track}"
ddb.longContentID = "{identity[:32]}"
ddb.toolsVersion = "12352"
ddb.virtualHWVersion = "19"
"""
    return text.encode().ljust(DESCRIPTOR_SECTORS * SECTOR, b"\0")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a raw image as a stream-optimized VMDK.")
    parser.add_argument("source", type=Path, help="raw image")
    parser.add_argument("target", type=Path, help="VMDK to write")
    parser.add_argument("--form", choices=FORMS, default="esxi")
    arguments = parser.parse_args()
    write(arguments.source, arguments.target, form=arguments.form)


if __name__ == "__main__":
    main()
