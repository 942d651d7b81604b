# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decode a stream-optimized VMDK to a sparse raw image, as it arrives or from a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from pathlib import Path

from .header import SECTOR, SparseHeader, VmdkError, parse_header
from .raw_image import RawImageWriter
from .stream import StreamParser
from .tables import table_grains

_PIECE = 1 << 20  # bytes read at a time
_BATCH = 16  # grains, of 64 KiB each as a rule

# Called with the bytes read and the bytes there are.
_OnProgress = Callable[[int, int], None]


class Decoder:
    """Takes the bytes of a VMDK in pieces of any size and writes the disk in it.

    Args:
        image: The raw image; it is made anew when the header has arrived.
        expected_capacity: The size that the disk must have, in bytes; None accepts any.
        workers: Threads that decompress; 0 for one for each core.
    """

    def __init__(self, image: Path, expected_capacity: int | None = None, workers: int = 0) -> None:
        self._image = image
        self._workers = workers
        self._parser = StreamParser(expected_capacity)
        self._stack = ExitStack()
        self._writer: RawImageWriter | None = None

    @property
    def position(self) -> int:
        """Return how far the stream is, in bytes of the disk's capacity."""
        return self._parser.position

    @property
    def capacity(self) -> int:
        """Return the size of the disk, in bytes; VmdkError before the header has arrived."""
        return self._parser.header.capacity_bytes

    def feed(self, data: memoryview) -> None:
        """Decode the next bytes.

        Raises:
            VmdkError: They are damaged, or belong to another disk.
            OSError: The image can't be written.
        """
        grains = self._parser.feed(data)
        if self._writer is None and self._parser.has_header:
            self._writer = self._stack.enter_context(
                RawImageWriter(self._image, self._parser.header, self._workers)
            )
        if self._writer is not None:
            self._writer.write(grains)

    def finish(self) -> None:
        """Wait until the image is on the disk.

        Raises:
            VmdkError: The stream was not complete, or a grain is damaged.
            OSError: The image can't be written.
        """
        self._parser.finish()
        if self._writer is not None:
            self._writer.finish()

    def close(self) -> None:
        """Stop the threads and give up the image's descriptor, finished or not."""
        self._stack.close()


def decode_file(
    source: Path,
    target: Path,
    *,
    expected_capacity: int | None = None,
    on_progress: _OnProgress | None = None,
) -> int:
    """Write the disk in a VMDK to a raw image and return its capacity in bytes.

    The image appears at the target only when it is complete.

    Args:
        source: The VMDK, stream-optimized.
        target: The image; one that is there is replaced.
        expected_capacity: The size that the disk must have, in bytes.
        on_progress: Called with the bytes read and the bytes there are.

    Raises:
        VmdkError: The VMDK is damaged or cut short.
        OSError: A file can't be read or written.
    """
    part = target.with_name(target.name + ".part")
    try:
        with _naming(source):
            header = _header_of(source)
            if header.has_markers:
                _decode_stream(source, part, expected_capacity, on_progress)
            else:
                header.check_capacity(expected_capacity)
                _decode_by_tables(source, part, header, on_progress)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return header.capacity_bytes


def _decode_stream(
    source: Path, image: Path, expected_capacity: int | None, on_progress: _OnProgress | None
) -> None:
    with closing(Decoder(image, expected_capacity)) as decoder:
        for piece in _pieces(source, on_progress):
            decoder.feed(piece)
        decoder.finish()


def _decode_by_tables(
    source: Path, image: Path, header: SparseHeader, on_progress: _OnProgress | None
) -> None:
    total = source.stat().st_size
    with source.open("rb") as file, RawImageWriter(image, header) as writer:
        grains = table_grains(file, header)
        while batch := list(islice(grains, _BATCH)):
            writer.write(batch)
            if on_progress:
                # Grains may lie in any order: how far the disk is tells how far the file is.
                on_progress(total * batch[-1].start // header.capacity_bytes, total)
        writer.finish()
    if on_progress:
        on_progress(total, total)


def _header_of(source: Path) -> SparseHeader:
    with source.open("rb") as file:
        sector = file.read(SECTOR)
    if len(sector) < SECTOR:
        raise VmdkError(f"The VMDK ends early, at byte {len(sector)}, within its header.")
    return parse_header(sector)


@contextmanager
def _naming(source: Path) -> Iterator[None]:
    """Put the file's name in front of what is wrong with its content."""
    try:
        yield
    except VmdkError as error:
        raise VmdkError(
            f"{source}: {error.message}", action=error.action, **error.details
        ) from None


def _pieces(source: Path, on_progress: _OnProgress | None) -> Iterator[memoryview]:
    total, done = source.stat().st_size, 0
    buffer = memoryview(bytearray(_PIECE))
    with source.open("rb", buffering=0) as file:
        while True:
            size = file.readinto(buffer)
            if not size:
                return
            yield buffer[:size]
            done += size
            if on_progress:
                on_progress(done, total)
