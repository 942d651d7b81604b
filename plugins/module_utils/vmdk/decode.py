# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decode a stream-optimized VMDK on disk to a sparse raw image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from .header import VmdkError
from .raw_image import RawImageWriter
from .stream import StreamParser

_PIECE = 1 << 20  # bytes read at a time


def decode_file(
    source: Path,
    target: Path,
    *,
    expected_capacity: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
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
    parser = StreamParser(expected_capacity)
    try:
        with ExitStack() as stack:
            writer = None
            for piece in _pieces(source, on_progress):
                grains = parser.feed(piece)
                if writer is None and parser.has_header:
                    writer = stack.enter_context(RawImageWriter(part, parser.header))
                if writer is not None:
                    writer.write(grains)
            parser.finish()
            if writer is not None:
                writer.finish()
        part.replace(target)
    except VmdkError as error:
        raise VmdkError(
            f"{source}: {error.message}", action=error.action, **error.details
        ) from None
    finally:
        part.unlink(missing_ok=True)
    return parser.header.capacity_bytes


def check_stream(source: Path) -> int:
    """Check a VMDK's structure to its end, without decompressing, and return its capacity in bytes.

    Raises:
        VmdkError: The VMDK is damaged or cut short.
        OSError: It can't be read.
    """
    parser = StreamParser(keep_grains=False)
    try:
        for piece in _pieces(source, None):
            parser.feed(piece)
        parser.finish()
    except VmdkError as error:
        raise VmdkError(
            f"{source}: {error.message}", action=error.action, **error.details
        ) from None
    return parser.header.capacity_bytes


def _pieces(source: Path, on_progress: Callable[[int, int], None] | None) -> Iterator[memoryview]:
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
