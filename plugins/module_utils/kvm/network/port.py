# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One port that is to accept a connection, and perhaps to say something, tried until it does."""

from __future__ import annotations

import re

from .expectation import Expectation
from .tcp import Connection, Segment

# What is kept of what a guest says, in bytes.
LONGEST_READ = 4096

# Seconds: for the connection to be accepted; for what is expected to be said; to listen where
# nothing certain is expected; until the next try.
_ACCEPT_TIMEOUT = 8.0
_READ_TIMEOUT = 10.0
_LISTEN = 1.0
_RETRY_AFTER = 1.0
# Each try has a port of its own among the ephemeral ones: the guest may remember the last.
_FIRST_PORT = 49152
_PORTS = 256
_SHOWN = 200


class PortCheck:
    """Tries a port.

    Attributes:
        done: Whether it has shown what is expected.
        read: What it said at the last try.
        reason: Why it is not done.
    """

    def __init__(self, number: int, expectation: Expectation) -> None:
        """Args: a number of its own among the checks of this machine; what is expected."""
        if expectation.port is None:
            raise ValueError("an expectation without a port")
        self.done = False
        self.read = b""
        self.reason = f"the guest has the address, and does not answer at port {expectation.port}"
        self._port = expectation.port
        self._send = expectation.send
        self._wanted = expectation.pattern
        self._pattern = None if self._wanted is None else re.compile(self._wanted, re.MULTILINE)
        self._first_port = _FIRST_PORT + number % 64 * _PORTS
        self._tries = 0
        self._connection: Connection | None = None
        self._began = 0.0
        self._accepted: float | None = None
        self._next = 0.0

    def turn(self, now: float) -> list[Segment]:
        """Return what is to be sent at this time."""
        if self.done:
            return []
        connection = self._connection
        if connection is None:
            if now < self._next:
                return []
            connection = self._open(now)
        return [*connection.turn(now), *self._judge(connection, now)]

    def knows(self, segment: Segment) -> bool:
        """Whether a segment belongs to one of its connections."""
        ports = range(self._first_port, self._first_port + _PORTS)
        return segment.source_port == self._port and segment.destination_port in ports

    def take(self, segment: Segment, now: float) -> list[Segment]:
        """Return what is to be said to a segment from the guest."""
        connection = self._connection
        if connection is None or self.done:
            return []
        return [*connection.take(segment, now), *self._judge(connection, now)]

    def _open(self, now: float) -> Connection:
        self._connection = Connection(
            (self._first_port + self._tries % _PORTS, self._port),
            first_sequence=(self._tries + 1) * 0x10001,
            say=self._send,
            limit=LONGEST_READ,
            now=now,
        )
        self._tries += 1
        self._began = now
        self._accepted = None
        return self._connection

    def _judge(self, connection: Connection, now: float) -> list[Segment]:
        """Decide whether the connection has shown what it can show; return its end if so."""
        if not connection.established:
            if connection.refused:
                self.reason = f"port {self._port} refuses connections"
                return self._again(now)
            if now - self._began >= _ACCEPT_TIMEOUT:
                self.reason = f"the guest has the address, and does not answer at port {self._port}"
                return self._again(now)
            return []
        self._accepted = now if self._accepted is None else self._accepted
        self.read = connection.received
        waited = now - self._accepted
        if self._pattern is None:
            self.done = bool(self.read) or connection.ended or waited >= _LISTEN
        else:
            said = self.read.decode("utf-8", errors="replace")
            self.done = bool(self._pattern.search(said))
            if not self.done and (connection.ended or waited >= _READ_TIMEOUT):
                self.reason = (
                    f"port {self._port} said {said[:_SHOWN]!r}, which does not match"
                    f" {self._wanted!r}"
                )
                return self._again(now)
        return connection.reset() if self.done else []

    def _again(self, now: float) -> list[Segment]:
        """End this try; the next one comes in a while."""
        connection = self._connection
        self._connection = None
        self._next = now + _RETRY_AFTER
        return connection.reset() if connection is not None else []
