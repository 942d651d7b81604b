# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stop every transfer of an export at once, also those that wait for the network."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .errors import Cancelled


class Cancellation:
    """Shared by the transfers of one export; once cancelled it stays so."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()

    def cancel(self) -> None:
        """Stop: each transfer raises Cancelled at its next step, waiting reads wake up."""
        with self._lock:
            self._event.set()
            for connection in self._sockets:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def check(self) -> None:
        """Raise Cancelled when cancel() was called."""
        if self._event.is_set():
            raise Cancelled("The transfer was given up.")

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than until cancel(), which then raises Cancelled."""
        self._event.wait(seconds)
        self.check()

    @contextmanager
    def watching(self, connection: socket.socket) -> Iterator[None]:
        """Let cancel() shut this connection down while the block runs."""
        with self._lock:
            self.check()
            self._sockets.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._sockets.discard(connection)
