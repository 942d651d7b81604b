# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take an HTTP body off its connection, straight into large buffers.

http.client can do it too; it puts two more layers between TLS and the buffer, which cost a fifth of
what receiving costs. What it does before, the request and the header, stays with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

# Fills a buffer from the connection, by at least a byte; 0 when the peer has ended it.
Receive = Callable[[memoryview], int]

_STAGE = 1 << 14  # bytes; the most that a TLS record holds
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
_LONGEST_LINE = 1 << 12  # bytes of a chunk's size and its extensions


class FramingError(Exception):
    """The body ended early, or is not framed as HTTP asks for."""


class SizedBody:
    """A body whose length was announced, or that lasts until the connection ends.

    Args:
        receive: Takes bytes from the connection.
        first: What has been received already.
        length: Bytes announced; None when the end of the connection is the end of the body.
    """

    def __init__(self, receive: Receive, first: bytes, length: int | None) -> None:
        self._receive = receive
        self._first = memoryview(first)
        self._length = length
        self._received = 0

    def read_into(self, buffer: memoryview) -> int:
        """Fill the buffer, and return how many bytes came; less than fit only at the end.

        Raises:
            FramingError: The connection ended before the announced length.
        """
        filled = 0
        while filled < len(buffer):
            room = buffer[filled:]
            if self._length is not None:
                room = room[: self._length - self._received]
                if not room:
                    break
            count = self._take(room)
            if not count:
                if self._length is not None:
                    raise FramingError(f"{self._length} bytes were promised")
                break
            filled += count
            self._received += count
        return filled

    def _take(self, room: memoryview) -> int:
        if not self._first:
            return self._receive(room)
        piece, self._first = self._first[: len(room)], self._first[len(room) :]
        room[: len(piece)] = piece
        return len(piece)


class ChunkedBody:
    """A body in chunks (RFC 9112, section 7.1).

    Args:
        receive: Takes bytes from the connection.
        first: What has been received already.
    """

    def __init__(self, receive: Receive, first: bytes) -> None:
        self._receive = receive
        # Framing arrives between the data: it goes through here, data mostly doesn't.
        self._stage = bytearray(max(_STAGE, len(first)))
        self._stage[: len(first)] = first
        self._view = memoryview(self._stage)
        self._at, self._end = 0, len(first)
        self._left = 0  # bytes of the chunk that are still to come
        self._begun = self._ended = False

    def read_into(self, buffer: memoryview) -> int:
        """Fill the buffer, and return how many bytes came; less than fit only at the end.

        Raises:
            FramingError: The connection ended before the last chunk, or a chunk has no size.
        """
        filled, size = 0, len(buffer)
        while filled < size and not self._ended:
            if not self._left:
                self._next_chunk()
                continue
            wanted = min(self._left, size - filled)
            if self._at < self._end:
                count = min(wanted, self._end - self._at)
                buffer[filled : filled + count] = self._view[self._at : self._at + count]
                self._at += count
            elif wanted >= _STAGE:
                count = self._received(buffer[filled : filled + wanted])
            else:
                self._fill()
                continue
            filled += count
            self._left -= count
        return filled

    def _next_chunk(self) -> None:
        if self._begun and self._line():
            raise FramingError("a chunk is longer than its size says")
        self._begun = True
        text = self._line().partition(b";")[0].strip()
        # int() alone would take signs, underscores and a prefix too.
        if not _SIZE.fullmatch(text):
            raise FramingError(f"a chunk's size is {bytes(text[:20])!r}")
        self._left = int(text, 16)
        if not self._left:
            while self._line():
                pass  # trailers
            self._ended = True

    def _line(self) -> bytes:
        line = bytearray()
        while True:
            end = self._stage.find(b"\n", self._at, self._end)
            if end >= 0:
                line += self._view[self._at : end]
                self._at = end + 1
                return bytes(line.rstrip(b"\r"))
            line += self._view[self._at : self._end]
            if len(line) > _LONGEST_LINE:
                raise FramingError("a chunk's size is too long")
            self._fill()

    def _fill(self) -> None:
        self._at = 0
        self._end = self._received(self._view)

    def _received(self, room: memoryview) -> int:
        count = self._receive(room)
        if not count:
            raise FramingError("the connection ended before the last chunk")
        return count
