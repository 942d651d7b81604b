# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.transfer.pump import (
    BUFFER_SIZE,
    pump,
)


class Keeping:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.finished = False

    def write(self, data: memoryview) -> None:
        self.data += data

    def finish(self) -> None:
        self.finished = True

    def close(self) -> None:
        pass


class Failing(Keeping):
    """A sink that fails at its second piece."""

    def write(self, data: memoryview) -> None:
        if self.data:
            raise OSError("disk full")
        super().write(data)


def source(data: bytes, most: int = 3000) -> Callable[[memoryview], int]:
    rest = memoryview(data)

    def read_into(buffer: memoryview) -> int:
        nonlocal rest
        count = min(most, len(rest), len(buffer))
        buffer[:count], rest = rest[:count], rest[count:]
        return count

    return read_into


def test_every_sink_gets_every_byte_in_order() -> None:
    data = bytes(range(256)) * 5000
    counted: list[int] = []
    sinks = [Keeping(), Keeping()]
    assert pump(source(data), sinks, counted.append) == len(data)
    assert all(sink.data == data and sink.finished for sink in sinks)
    assert sum(counted) == len(data)


def test_a_failing_sink_ends_the_transfer_and_nothing_is_finished() -> None:
    good = Keeping()
    with pytest.raises(OSError, match="disk full"):
        pump(source(bytes(10_000_000)), [good, Failing()], lambda count: None)
    assert not good.finished and len(good.data) == 6000


def test_a_failing_reader_finishes_nothing() -> None:
    def broken(buffer: memoryview) -> int:
        raise OSError("connection reset")

    sink = Keeping()
    with pytest.raises(OSError, match="connection reset"):
        pump(broken, [sink], lambda count: None)
    assert not sink.finished


def test_a_piece_is_never_larger_than_the_buffer() -> None:
    pieces: list[int] = []
    pump(source(bytes(3 * BUFFER_SIZE), most=1 << 30), [], pieces.append)
    assert pieces == [BUFFER_SIZE] * 3
