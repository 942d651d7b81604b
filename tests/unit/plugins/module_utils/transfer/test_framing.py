# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.transfer.framing import (
    ChunkedBody,
    FramingError,
    Receive,
    SizedBody,
)


def connection(data: bytes, pieces: Iterator[int]) -> Receive:
    """Hand data out in pieces of these sizes, as a network does."""
    rest = data

    def receive(room: memoryview) -> int:
        nonlocal rest
        count = min(len(room), len(rest), next(pieces))
        room[:count], rest = rest[:count], rest[count:]
        return count

    return receive


def always(size: int) -> Iterator[int]:
    while True:
        yield size


def chunked(chunks: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def read_all(body: ChunkedBody | SizedBody, size: int) -> bytes:
    buffer, data = memoryview(bytearray(size)), bytearray()
    while count := body.read_into(buffer):
        data += buffer[:count]
    return bytes(data)


CHUNKS = st.lists(st.binary(min_size=1, max_size=40_000), max_size=5)


@given(
    chunks=CHUNKS,
    piece=st.integers(1, 50_000),
    size=st.integers(1, 70_000),
    ahead=st.integers(0, 300),
)
def test_chunks_come_out_whole_however_they_arrive(
    chunks: list[bytes], piece: int, size: int, ahead: int
) -> None:
    wire = chunked(chunks)
    body = ChunkedBody(connection(wire[ahead:], always(piece)), wire[:ahead])
    assert read_all(body, size) == b"".join(chunks)


@given(chunks=CHUNKS, cut=st.integers(1, 5))
def test_a_cut_body_never_passes(chunks: list[bytes], cut: int) -> None:
    wire = chunked(chunks)[:-cut]
    with pytest.raises(FramingError, match="ended before the last chunk"):
        read_all(ChunkedBody(connection(wire, always(1000)), b""), 4096)


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        (b"zz\r\nab\r\n", "size is b'zz'"),
        (b"+2\r\nab\r\n", "size is"),
        (b"-2\r\nab\r\n", "size is"),
        (b"0x2\r\nab\r\n", "size is"),
        (b"\r\nab\r\n", "size is b''"),
        (b"1 1\r\nab\r\n", "size is"),
        (b"1\r\nab\r\n0\r\n\r\n", "longer than its size"),
        (b"1" * 5000 + b"\r\n", "size"),
    ],
)
def test_bad_framing_is_refused(wire: bytes, said: str) -> None:
    with pytest.raises(FramingError, match=said):
        read_all(ChunkedBody(connection(wire, always(9999)), b""), 4096)


def test_extensions_and_trailers_are_passed_over() -> None:
    wire = b"3;name=value\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n"
    assert read_all(ChunkedBody(connection(wire, always(2)), b""), 4096) == b"abc"


@given(data=st.binary(max_size=5000), piece=st.integers(1, 3000), ahead=st.integers(0, 300))
def test_a_sized_body_ends_at_its_length(data: bytes, piece: int, ahead: int) -> None:
    wire = data + b"the next answer"
    first = data[:ahead]
    body = SizedBody(connection(wire[len(first) :], always(piece)), first, len(data))
    assert read_all(body, 1024) == data


def test_a_sized_body_that_is_cut_is_refused() -> None:
    with pytest.raises(FramingError, match="10 bytes were promised"):
        read_all(SizedBody(connection(b"only", always(3)), b"", 10), 1024)


def test_without_a_length_the_connection_is_the_body() -> None:
    assert read_all(SizedBody(connection(b"all of it", always(4)), b"", None), 5) == b"all of it"
