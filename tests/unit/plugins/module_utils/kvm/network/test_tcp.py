# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Against a peer that loses, repeats and reorders; against Linux in tests/system."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.network.expectation import (
    Expectation,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.network.port import PortCheck
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.network.tcp import (
    ACK,
    FIN,
    PSH,
    RST,
    SYN,
    Connection,
    Segment,
    is_after,
)

OURS, THEIRS = 49152, 22
FIRST = 0xFFFFFFF0  # Numbers wrap around soon.
PEER = 0xFFFFFFFE


def connection(say: bytes = b"", limit: int = 100) -> Connection:
    return Connection((OURS, THEIRS), FIRST, say=say, limit=limit, now=0.0)


def from_peer(flags: int, sequence: int, acknowledged: int, data: bytes = b"") -> Segment:
    return Segment(THEIRS, OURS, sequence % 2**32, acknowledged % 2**32, flags, data)


def accepted(say: bytes = b"", limit: int = 100) -> tuple[Connection, list[Segment]]:
    opened = connection(say, limit)
    [syn] = opened.turn(0.0)
    assert (syn.flags, syn.sequence) == (SYN, FIRST)
    answers = opened.take(from_peer(SYN | ACK, PEER, FIRST + 1), 0.1)
    assert opened.established
    return opened, answers


def test_a_greeting_in_pieces_out_of_order() -> None:
    opened, [ack] = accepted()
    assert (ack.flags, ack.sequence, ack.acknowledged) == (ACK, FIRST + 1, PEER + 1)
    start = PEER + 1
    [early] = opened.take(from_peer(ACK, start + 4, FIRST + 1, b"2.0"), 0.2)
    assert early.acknowledged == start % 2**32
    opened.take(from_peer(ACK, start, FIRST + 1, b"SSH-"), 0.3)
    opened.take(from_peer(ACK, start, FIRST + 1, b"SSH-"), 0.4)
    [last] = opened.take(from_peer(ACK | PSH, start + 4, FIRST + 1, b"2.0"), 0.5)
    assert opened.received == b"SSH-2.0"
    assert last.acknowledged == (start + 7) % 2**32


def test_what_is_said_is_said_again_until_it_is_heard() -> None:
    opened, [_ack, said] = accepted(b"hello there, this wraps\n")
    assert (said.flags, said.data) == (ACK | PSH, b"hello there, this wraps\n")
    assert opened.turn(0.5) == []
    [again] = opened.turn(1.2)
    assert again == said
    heard = FIRST + 1 + len(said.data)
    opened.take(from_peer(ACK, PEER + 1, heard), 1.3)
    assert opened.turn(99.0) == []
    [end] = opened.reset()
    assert (end.flags, end.sequence) == (RST | ACK, heard % 2**32)


def test_an_opening_that_is_lost() -> None:
    opened = connection()
    times = [now / 10 for now in range(100) if opened.turn(now / 10)]
    assert times == [0.0, 1.0, 3.0, 7.0]


def test_a_port_that_refuses() -> None:
    opened = connection()
    opened.turn(0.0)
    assert opened.take(from_peer(RST | ACK, 0, FIRST), 0.1) == []
    assert not opened.refused  # It answers something else.
    opened.take(from_peer(RST | ACK, 0, FIRST + 1), 0.1)
    assert opened.refused


def test_an_end_and_too_much() -> None:
    opened, _answers = accepted()
    opened.take(from_peer(ACK | FIN, PEER + 1, FIRST + 1, b"bye"), 0.2)
    assert (opened.received, opened.ended) == (b"bye", True)
    opened, _answers = accepted(limit=5)
    [end] = opened.take(from_peer(ACK, PEER + 1, FIRST + 1, b"x" * 50), 0.2)
    assert (opened.received, opened.ended) == (b"xxxxx", True)
    assert end.flags & RST


def test_segments_of_others_and_damaged_ones() -> None:
    opened = connection()
    opened.turn(0.0)
    other = Segment(THEIRS, OURS + 1, PEER, (FIRST + 1) % 2**32, SYN | ACK)
    assert opened.take(other, 0.1) == []
    assert not opened.established
    ends = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.10")
    packet = other.packet(*ends)
    assert Segment.parse(packet) == other
    damaged = packet.payload[:4] + b"\x01" + packet.payload[5:]
    assert Segment.parse(type(packet)(*ends, packet.protocol, damaged)) is None


def test_numbers_wrap_around() -> None:
    assert is_after(5, 0xFFFFFFFB)
    assert not is_after(0xFFFFFFFB, 5)
    assert not is_after(7, 7)


def serve(check: PortCheck, now: float, *, say: bytes = b"", flags: int = ACK) -> None:
    """Let a peer accept the check's connection, and say something."""
    [syn] = [segment for segment in check.turn(now) if segment.flags & SYN]
    answer = Segment(THEIRS, syn.source_port, PEER, syn.sequence + 1, SYN | ACK)
    assert check.knows(answer)
    check.take(answer, now)
    check.take(
        Segment(THEIRS, syn.source_port, (PEER + 1) % 2**32, syn.sequence + 1, flags, say), now
    )


def test_a_port_is_tried_until_it_says_what_is_expected() -> None:
    check = PortCheck(3, Expectation(None, port=THEIRS, pattern="^SSH"))
    [syn] = check.turn(0.0)
    check.take(Segment(THEIRS, syn.source_port, 0, syn.sequence + 1, RST | ACK), 0.1)
    assert check.reason == "port 22 refuses connections"
    assert check.turn(0.5) == []
    serve(check, 1.5, say=b"starting up\n", flags=ACK | FIN)
    assert not check.done
    assert check.reason == "port 22 said 'starting up\\n', which does not match '^SSH'"
    serve(check, 3.0, say=b"SSH-2.0-OpenSSH\r\n")
    assert check.done
    assert check.read == b"SSH-2.0-OpenSSH\r\n"


@pytest.mark.parametrize("waited", [0.5, 1.5])
def test_a_port_that_says_nothing_is_open_all_the_same(waited: float) -> None:
    check = PortCheck(0, Expectation(None, port=THEIRS))
    serve(check, 0.0)
    check.turn(waited)
    assert check.done is (waited > 1)


def test_a_port_that_swallows_everything() -> None:
    check = PortCheck(0, Expectation(None, port=THEIRS))
    check.turn(0.0)
    check.turn(9.0)
    assert "does not answer at port 22" in check.reason
    assert [segment.source_port for segment in check.turn(11.0)] == [49153]
