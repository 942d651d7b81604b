# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One TCP connection to a guest (RFC 9293), of a client that says little and listens a little.

A plain state machine: segments and the clock go in, segments come out. It
takes what comes in order, asks again for the rest by acknowledging the last good
byte, and ends with a reset, so that nothing lingers in the guest.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .packets import TCP, Address, Packet, transport_checksum

FIN = 0x01
SYN = 0x02
RST = 0x04
PSH = 0x08
ACK = 0x10

_HEADER = struct.Struct("!HHIIBBHHH")
_WINDOW = 16384
_SEGMENT_SIZE = 1200
# Seconds after which what was not acknowledged is said again; doubled each time.
_FIRST_RETRY = 1.0
_MODULUS = 1 << 32


@dataclass(frozen=True)
class Segment:
    """A TCP segment."""

    source_port: int
    destination_port: int
    sequence: int
    acknowledged: int
    flags: int
    data: bytes = b""

    @classmethod
    def parse(cls, packet: Packet) -> Segment | None:
        """Return the segment of a packet, or None when there is none or it is damaged."""
        raw = packet.payload
        if packet.protocol != TCP or len(raw) < _HEADER.size:
            return None
        source, destination, sequence, acknowledged, offset, flags, *_rest = _HEADER.unpack_from(
            raw
        )
        header = (offset >> 4) * 4
        if not _HEADER.size <= header <= len(raw):
            return None
        if transport_checksum(packet.source, packet.destination, TCP, raw):
            return None
        return cls(source, destination, sequence, acknowledged, flags, raw[header:])

    def packet(self, source: Address, destination: Address) -> Packet:
        """Return the packet that carries it."""
        options = struct.pack("!BBH", 2, 4, _SEGMENT_SIZE) if self.flags & SYN else b""
        offset = (_HEADER.size + len(options)) // 4 << 4
        fields = [self.source_port, self.destination_port, self.sequence, self.acknowledged]
        fields += [offset, self.flags, _WINDOW, 0, 0]
        tail = options + self.data
        fields[-2] = transport_checksum(source, destination, TCP, _HEADER.pack(*fields) + tail)
        return Packet(source, destination, TCP, _HEADER.pack(*fields) + tail)


def is_after(one: int, other: int) -> bool:
    """Return whether a sequence number lies after another; they wrap around."""
    return 0 < (one - other) % _MODULUS < _MODULUS // 2


class Connection:
    """A connection that is opened at once.

    Attributes:
        received: What the guest has said so far.
        established: Whether the guest has accepted it.
        refused: Whether the guest has said that nothing listens there.
        ended: Whether the guest will say no more.
    """

    def __init__(
        self, ports: tuple[int, int], first_sequence: int, *, say: bytes, limit: int, now: float
    ) -> None:
        """Args: our port and the guest's; our first number; what to say (one segment of at most
        1200 bytes); how many bytes to take; the time in seconds."""
        self.received = b""
        self.established = False
        self.refused = False
        self.ended = False
        self._ports = ports
        self._say = say[:_SEGMENT_SIZE]
        self._limit = limit
        self._first = first_sequence
        self._unacknowledged = first_sequence
        self._expected = 0
        self._retry_after = _FIRST_RETRY
        self._due = now

    @property
    def _next(self) -> int:
        """The number after all that we say."""
        return (self._first + 1 + len(self._say)) % _MODULUS

    def turn(self, now: float) -> list[Segment]:
        """Return what is to be sent at this time."""
        if now < self._due or self.ended or self.refused:
            return []
        self._due = now + self._retry_after
        self._retry_after *= 2
        if not self.established:
            return [self._segment(SYN, self._first, acknowledged=0)]
        if self._unacknowledged != self._next:
            return [self._segment(ACK | PSH, self._first + 1, data=self._say)]
        return []

    def take(self, segment: Segment, now: float) -> list[Segment]:
        """Return what is to be said to a segment of the guest."""
        if (segment.destination_port, segment.source_port) != self._ports or self.ended:
            return []
        if not self.established:
            return self._opened(segment, now)
        if segment.flags & RST:
            self.ended = True
            return []
        if segment.flags & ACK and is_after(segment.acknowledged, self._unacknowledged):
            self._unacknowledged = segment.acknowledged
        if not segment.data and not segment.flags & (FIN | SYN):
            return []
        return self._heard(segment)

    def reset(self) -> list[Segment]:
        """Return the end of the connection."""
        if not self.established or self.ended:
            return []
        self.ended = True
        return [self._segment(RST | ACK, self._next)]

    def _opened(self, segment: Segment, now: float) -> list[Segment]:
        if not segment.flags & ACK or segment.acknowledged != (self._first + 1) % _MODULUS:
            return []  # Of an earlier connection.
        if segment.flags & RST:
            self.refused = True
            return []
        if not segment.flags & SYN:
            return []
        self.established = True
        self._expected = (segment.sequence + 1) % _MODULUS
        self._unacknowledged = segment.acknowledged
        self._retry_after = _FIRST_RETRY
        self._due = now
        return [self._segment(ACK, self._first + 1), *self.turn(now)]

    def _heard(self, segment: Segment) -> list[Segment]:
        if segment.sequence == self._expected:
            room = self._limit - len(self.received)
            self.received += segment.data[:room]
            self._expected = (self._expected + len(segment.data)) % _MODULUS
            if segment.flags & FIN:
                self._expected = (self._expected + 1) % _MODULUS
                self.ended = True
            if len(self.received) >= self._limit:
                return self.reset()
        # An old segment, or one after a gap, is answered with what is expected next.
        return [self._segment(ACK | (RST if self.ended else 0), self._next)]

    def _segment(
        self, flags: int, sequence: int, acknowledged: int | None = None, data: bytes = b""
    ) -> Segment:
        if acknowledged is None:
            acknowledged = self._expected
        return Segment(*self._ports, sequence % _MODULUS, acknowledged, flags, data)
