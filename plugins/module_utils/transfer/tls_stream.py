# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""TLS over a socket, fed from large reads.

An SSLSocket asks the kernel twice for each TLS record, for its header and for its 16 KiB. Here the
kernel is asked for many records at once and they are decrypted out of memory, which makes a transfer
level with libcurl's (docs/benchmark.md).
"""

from __future__ import annotations

import io
import socket
import ssl
from typing import Any

# Bytes asked of the kernel at once: eight records, small enough to stay in a core's own cache.
_RECEIVE = 1 << 17


class TlsStream:
    """A TLS connection with the part of a socket's interface that http.client asks for.

    Args:
        connection: A TCP connection; it is closed with the stream.
        context: How the server is checked.
        server_name: The name or address that its certificate must be for.

    Raises:
        ssl.SSLError, OSError: The handshake failed.
        CertificateError: The server showed a certificate other than the pinned one.
    """

    def __init__(
        self, connection: socket.socket, context: ssl.SSLContext, server_name: str
    ) -> None:
        self.connection = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        self._memory = memoryview(bytearray(_RECEIVE))
        self._drained = False  # nothing can be decrypted before more is received
        self._readers = 0
        self._closed = False
        self._shake_hands()

    def recv_into(self, buffer: memoryview) -> int:
        """Fill as much of the buffer as has arrived, at least a byte, and return how much; 0 at
        the end.

        Raises:
            ssl.SSLError, OSError: The connection broke, or what came was tampered with.
        """
        read, filled, size = self._tls.read, 0, len(buffer)
        # What has been received may be less than a record, or hold no data.
        while not filled:
            if self._drained and not self._receive():
                return 0
            try:
                while filled < size:
                    # OpenSSL gives a record at a time, and nothing when the server has said goodbye.
                    count = int(read(size - filled, buffer[filled:]))
                    if not count:
                        return filled
                    filled += count
            except ssl.SSLWantReadError:
                self._drained = True
                self._send_pending()
            except ssl.SSLZeroReturnError:
                return filled
        return filled

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        self._tls.write(data)
        self._send_pending()

    def makefile(self, *_args: Any, **_options: Any) -> io.BufferedReader:
        """Return a file that reads the stream; the connection lasts until both are closed."""
        self._readers += 1
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        """Close the connection, or leave that to a file that still reads it."""
        self._closed = True
        if not self._readers:
            self.connection.close()

    def reader_closed(self) -> None:
        """Note that a file made by makefile() has been closed."""
        self._readers -= 1
        if self._closed:
            self.close()

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._send_pending()
                if not self._receive():
                    raise ConnectionResetError(
                        "it ended the connection during the handshake"
                    ) from None
            except ssl.SSLError:
                self._send_pending()  # the alert that tells the server why
                raise
            else:
                self._send_pending()
                return

    def _receive(self) -> int:
        count = self.connection.recv_into(self._memory)
        self._incoming.write(self._memory[:count])
        self._drained = not count
        return count

    def _send_pending(self) -> None:
        waiting = self._outgoing.read()
        if waiting:
            self.connection.sendall(waiting)


class _Reader(io.RawIOBase):
    def __init__(self, stream: TlsStream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._stream.recv_into(memoryview(buffer).cast("B"))

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._stream.reader_closed()
