# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One reader, several sinks: each byte is received once and taken by all of them.

All happens in the transfer's own thread, while the bytes are in the core's own cache. Receiving,
hashing and writing a large piece release the interpreter's lock, so the transfers of several disks
use several cores; handing the pieces to a thread for each sink was measured and cost more CPU time
than the digest does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

BUFFER_SIZE = 1 << 18  # bytes


class Sink(Protocol):
    """Takes the bytes of one file in order."""

    def write(self, data: memoryview) -> None:
        """Take the next bytes; the view is void after the call."""

    def finish(self) -> None:
        """Take note that the bytes were all; raise when they can't have been."""

    def close(self) -> None:
        """Let go of what is held, finished or not."""


def pump(
    read_into: Callable[[memoryview], int],
    sinks: Sequence[Sink],
    on_bytes: Callable[[int], None],
) -> int:
    """Move bytes from a reader to every sink and return how many there were.

    Args:
        read_into: Fills a buffer and returns how many bytes it put there, 0 at the end.
        sinks: Take each piece in this order.
        on_bytes: Called with the size of each piece, in bytes, when it has been received.

    Raises:
        Exception: What the reader or the first sink to fail raised.
    """
    buffer, total = memoryview(bytearray(BUFFER_SIZE)), 0
    while True:
        size = read_into(buffer)
        if not size:
            break
        total += size
        on_bytes(size)
        piece = buffer[:size]
        for sink in sinks:
            sink.write(piece)
    for sink in sinks:
        sink.finish()
    return total
