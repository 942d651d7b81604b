# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the bytes of a download go: a file, a digest, the check of a VMDK, the disk that is in it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from ..vmdk.decode import Decoder
from ..vmdk.stream import StreamParser
from ..writeback import Writeback


class FileSink:
    """Writes a new file; it is complete on the disk after finish()."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._size = 0
        self._writeback = Writeback(self._file)

    def write(self, data: memoryview) -> None:
        """Append; OSError when the disk is full."""
        self._size += len(data)
        while data:
            data = data[os.write(self._file, data) :]
        self._writeback.reached(self._size)

    def finish(self) -> None:
        """Flush to the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Give up the file's descriptor, finished or not."""
        os.close(self._file)


class DigestSink:
    """Computes a digest of what passes.

    Args:
        algorithm: By hashlib's name.
    """

    def __init__(self, algorithm: str) -> None:
        self._digest = hashlib.new(algorithm)

    def write(self, data: memoryview) -> None:
        """Add to the digest."""
        self._digest.update(data)

    def finish(self) -> None:
        """Nothing can be wrong with a digest by itself."""

    def close(self) -> None:
        """Nothing is held."""

    def hexdigest(self) -> str:
        """Return the digest in lowercase hexadecimal."""
        return self._digest.hexdigest()


class VmdkCheckSink:
    """Checks a stream-optimized VMDK as it passes, to its end-of-stream marker.

    Args:
        capacity: The size of the disk in bytes, as vCenter gives it.
        reach: Told how far the stream is, in bytes of the disk's capacity.
    """

    def __init__(self, capacity: int, reach: Callable[[int], None]) -> None:
        self._capacity = capacity
        self._parser = StreamParser(capacity, keep_grains=False)
        self._reach = reach

    def write(self, data: memoryview) -> None:
        """Check the next bytes; VmdkError when they contradict the format."""
        self._parser.feed(data)
        self._reach(self._parser.position)

    def finish(self) -> None:
        """VmdkError when the stream was not complete."""
        self._parser.finish()
        self._reach(self._capacity)

    def close(self) -> None:
        """Nothing is held."""


class RawImageSink:
    """Checks a stream-optimized VMDK and writes the disk in it as a sparse raw image.

    Args:
        path: The image.
        capacity: The size of the disk in bytes, as vCenter gives it.
        workers: Threads that decompress.
        reach: Told how far the stream is, in bytes of the disk's capacity.
    """

    def __init__(
        self, path: Path, capacity: int, workers: int, reach: Callable[[int], None]
    ) -> None:
        self._capacity = capacity
        self._decoder = Decoder(path, capacity, workers)
        self._reach = reach

    def write(self, data: memoryview) -> None:
        """Decode the next bytes; VmdkError when they are damaged, OSError when the disk is full."""
        self._decoder.feed(data)
        self._reach(self._decoder.position)

    def finish(self) -> None:
        """Wait until the image is on the disk; VmdkError when the stream was not complete."""
        self._decoder.finish()
        self._reach(self._capacity)

    def close(self) -> None:
        """Stop the threads and give up the image's descriptor, finished or not."""
        self._decoder.close()
