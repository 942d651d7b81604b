# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One reader, several sinks: each byte is received once and taken by all of them in parallel.

Receiving (TLS), hashing, inflating and writing release the interpreter's lock while they work on a
large buffer, so a thread for each uses the cores there are. The buffers are few and used again:
memory does not depend on the size of what passes.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

BUFFER_SIZE = 1 << 20  # bytes
BUFFERS = 6  # in flight for one transfer


class Sink(Protocol):
    """Takes the bytes of one file in order."""

    def write(self, data: memoryview) -> None:
        """Take the next bytes; the view is void after the call."""

    def finish(self) -> None:
        """Take note that the bytes were all; raise when they can't have been."""

    def close(self) -> None:
        """Let go of what is held, finished or not."""


@dataclass
class _Buffer:
    memory: memoryview = field(default_factory=lambda: memoryview(bytearray(BUFFER_SIZE)))
    size: int = 0
    users: int = 0


class _Fanout:
    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks
        self._free: queue.SimpleQueue[_Buffer] = queue.SimpleQueue()
        self._queues: list[queue.SimpleQueue[_Buffer | None]] = [
            queue.SimpleQueue() for _sink in sinks
        ]
        self._lock = threading.Lock()
        self._error: Exception | None = None
        for _number in range(BUFFERS):
            self._free.put(_Buffer())

    def run(self, read_into: Callable[[memoryview], int], on_bytes: Callable[[int], None]) -> int:
        threads = [
            threading.Thread(target=self._serve, args=pair, name="sink", daemon=True)
            for pair in zip(self._sinks, self._queues)
        ]
        for thread in threads:
            thread.start()
        try:
            total = self._read(read_into, on_bytes)
        finally:
            for waiting in self._queues:
                waiting.put(None)
            for thread in threads:
                thread.join()
        self._raise_error()
        for sink in self._sinks:
            sink.finish()
        return total

    def _read(self, read_into: Callable[[memoryview], int], on_bytes: Callable[[int], None]) -> int:
        total = 0
        while True:
            buffer = self._free.get()
            self._raise_error()
            buffer.size = read_into(buffer.memory)
            if not buffer.size:
                return total
            total += buffer.size
            buffer.users = len(self._queues)
            for waiting in self._queues:
                waiting.put(buffer)
            on_bytes(buffer.size)

    def _serve(self, sink: Sink, waiting: queue.SimpleQueue[_Buffer | None]) -> None:
        while True:
            buffer = waiting.get()
            if buffer is None:
                return
            # After an error the buffers still go round, so that the reader wakes up and sees it.
            if self._error is None:
                try:
                    sink.write(buffer.memory[: buffer.size])
                except Exception as error:  # noqa: BLE001 - raised again in the reader's thread
                    self._error = self._error or error
            with self._lock:
                buffer.users -= 1
                last = not buffer.users
            if last:
                self._free.put(buffer)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error


def pump(
    read_into: Callable[[memoryview], int],
    sinks: Sequence[Sink],
    on_bytes: Callable[[int], None],
) -> int:
    """Move bytes from a reader to every sink and return how many there were.

    Args:
        read_into: Fills a buffer and returns how many bytes it put there, 0 at the end.
        sinks: Each is served by a thread of its own.
        on_bytes: Called with the size of each piece, in bytes, when it has been received.

    Raises:
        Exception: What the reader or the first sink to fail raised.
    """
    return _Fanout(sinks).run(read_into, on_bytes)
