# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turn the grains of a VMDK into a sparse raw image."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from ..writeback import Writeback
from .header import SparseHeader
from .inflate import inflate
from .stream import Grain

# Bytes of compressed grains that a worker takes at once, so that handing over costs little.
_BATCH = 1 << 20
# Batches that may wait for a worker: enough to keep the workers busy, few enough that memory stays
# bounded.
_WAITING = 2
_MOST_WORKERS = 8


class RawImageWriter:
    """Writes grains to their places in a file, in any order and in parallel.

    Decompressing and writing release the interpreter's lock, so threads use every core.

    Args:
        path: The image; it is made anew. Blocks of zeros become holes.
        header: What the VMDK's header says of the disk.
        workers: How many threads decompress; by default one for each core, up to 8.
    """

    def __init__(self, path: Path, header: SparseHeader, workers: int = 0) -> None:
        self._header = header
        self._zeros = bytes(header.grain_bytes)
        workers = workers or min(os.cpu_count() or 1, _MOST_WORKERS)
        self._limit = workers + _WAITING
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._file, header.capacity_bytes)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="inflate")
        self._writeback = Writeback(self._file)
        self._running: deque[Future[int]] = deque()
        self._batch: list[Grain] = []
        self._batch_bytes = 0

    def write(self, grains: list[Grain]) -> None:
        """Take grains to write; waits where the workers are behind.

        Raises:
            VmdkError: A grain, perhaps one taken earlier, is damaged.
            OSError: The image can't be written, the disk is full for instance.
        """
        self._batch += grains
        self._batch_bytes += sum(len(grain.data) for grain in grains)
        if self._batch_bytes >= _BATCH:
            self._hand_over()
            self._collect(self._limit)

    def finish(self) -> None:
        """Wait until all is written and on the disk.

        Raises:
            VmdkError: A grain is damaged.
            OSError: The image can't be written.
        """
        self._hand_over()
        self._collect(0)
        os.fsync(self._file)

    def __enter__(self) -> RawImageWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        os.close(self._file)

    def _hand_over(self) -> None:
        self._running.append(self._pool.submit(self._write_batch, self._batch))
        self._batch, self._batch_bytes = [], 0

    def _collect(self, limit: int) -> None:
        while len(self._running) > limit:
            self._writeback.reached(self._running.popleft().result())

    def _write_batch(self, grains: Iterable[Grain]) -> int:
        """Write grains, and return where the last one begins, in bytes."""
        start, grain_bytes, capacity = 0, self._header.grain_bytes, self._header.capacity_bytes
        for grain in grains:
            start = grain.start
            needed = min(grain_bytes, capacity - start)
            data = inflate(grain, grain_bytes, needed)
            if data != self._zeros:
                _write_at(self._file, data, start)
        return start


def _write_at(file: int, data: bytes | bytearray, start: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, start)
        view, start = view[written:], start + written
