# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.transfer import fanout
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.transfer.fanout import pump


class Keeping:
    """A sink that keeps what it gets."""

    def __init__(self, pause: float = 0.0) -> None:
        self.data = bytearray()
        self.finished = False
        self._pause = pause

    def write(self, data: memoryview) -> None:
        time.sleep(self._pause)
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


@pytest.fixture(autouse=True)
def _small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "BUFFER_SIZE", 4096)


def test_every_sink_gets_every_byte_in_order() -> None:
    data = bytes(range(256)) * 500
    sinks, counted = [Keeping(), Keeping(0.001), Keeping()], []
    assert pump(source(data), sinks, counted.append) == len(data)
    assert all(sink.data == data and sink.finished for sink in sinks)
    assert sum(counted) == len(data)


def test_a_failing_sink_ends_the_transfer_and_nothing_is_finished() -> None:
    good, endless = Keeping(), source(bytes(10_000_000))
    with pytest.raises(OSError, match="disk full"):
        pump(endless, [good, Failing()], lambda count: None)
    assert not good.finished and len(good.data) < 1_000_000


def test_a_failing_reader_ends_the_threads() -> None:
    def broken(buffer: memoryview) -> int:
        raise OSError("connection reset")

    before, sink = threading.active_count(), Keeping()
    with pytest.raises(OSError, match="connection reset"):
        pump(broken, [sink], lambda count: None)
    assert threading.active_count() == before and not sink.finished


def test_memory_does_not_grow_behind_a_slow_sink() -> None:
    ahead, seen = 0, []

    class Slow(Keeping):
        def write(self, data: memoryview) -> None:
            nonlocal ahead
            time.sleep(0.002)
            ahead -= 1
            seen.append(ahead)

    def count(_size: int) -> None:
        nonlocal ahead
        ahead += 1

    pump(source(bytes(300_000)), [Slow()], count)
    assert max(seen) <= fanout.BUFFERS
