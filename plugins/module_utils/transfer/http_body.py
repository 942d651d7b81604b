# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Open a URL of a lease and read its body, with every way in which it can end early found out."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..tls import CertificateError
from .cancel import Cancellation
from .errors import TransferError
from .framing import ChunkedBody, FramingError, SizedBody
from .tls_stream import TlsStream

# Seconds without a byte after which a connection counts as stalled. A host that reads a long empty
# part of a thin disk sends nothing for minutes.
STALL_TIMEOUT = 600.0
# Seconds for a connection and its TLS handshake.
_CONNECT_TIMEOUT = 30.0
# Seconds that a server may ask us to wait until we ask it again.
_LONGEST_PAUSE = 120.0
# A peer that is gone is found out by the kernel meanwhile: probed after 30 seconds of silence, every
# 10 seconds, and given up after 6 probes without an answer.
_KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 6),
)


@dataclass(frozen=True)
class Endpoint:
    """Where a file is fetched from, and how its server is checked."""

    url: str
    context: ssl.SSLContext
    address: str | None = None
    """Connect here in place of the URL's host."""
    proxy: tuple[str, int] | None = None
    stall_timeout: float = STALL_TIMEOUT

    @property
    def name(self) -> str:
        """Return the name that the server's certificate must be for."""
        return urlsplit(self.url).hostname or ""

    @property
    def host(self) -> str:
        """Return the host that is connected to."""
        return self.address or self.name

    def __str__(self) -> str:
        # Never the path: its ticket authorises the download.
        return f"{self.host}:{urlsplit(self.url).port or 443}"


class Body:
    """The body of an answer, read into buffers of the caller's."""

    def __init__(
        self, response: http.client.HTTPResponse, stream: TlsStream, endpoint: Endpoint
    ) -> None:
        self._response = response
        self._stream = stream
        self._endpoint = endpoint
        self._received = 0
        self._framed: ChunkedBody | SizedBody | None = None

    def read_into(self, buffer: memoryview) -> int:
        """Fill the buffer and return how many bytes came; 0 only at the body's proper end.

        Raises:
            TransferError: The connection broke or stalled, or the body was cut.
        """
        try:
            if self._framed is None:
                self._framed = self._begun()
            count = self._framed.read_into(buffer)
        except socket.timeout as error:  # TimeoutError itself since Python 3.10
            raise TransferError(
                f"{self._endpoint} sent nothing for {self._endpoint.stall_timeout:g} seconds."
            ) from error
        except (OSError, FramingError) as error:
            raise TransferError(
                f"The connection to {self._endpoint} broke after {self._received} bytes: "
                f"{error or type(error).__name__}."
            ) from error
        self._received += count
        return count

    def _begun(self) -> ChunkedBody | SizedBody:
        # http.client may have read ahead of the header's end, else this waits for the first bytes.
        # It is not asked for anything after this.
        first = bytes(self._response.fp.peek(1))
        if self._response.chunked:
            return ChunkedBody(self._stream.recv_into, first)
        return SizedBody(self._stream.recv_into, first, self._response.length)


class _Connection(http.client.HTTPConnection):
    """http.client's HTTPSConnection with a TLS layer of ours."""

    default_port = 443

    def __init__(self, endpoint: Endpoint, host: str, port: int) -> None:
        super().__init__(host, port, timeout=min(_CONNECT_TIMEOUT, endpoint.stall_timeout))
        self._endpoint = endpoint

    def secured(self) -> TlsStream:
        """Connect, through the proxy where there is one, and return the TLS connection."""
        self.connect()
        plain: socket.socket = self.sock
        for option in _KEEP_ALIVE:
            plain.setsockopt(*option)
        stream = TlsStream(plain, self._endpoint.context, self._endpoint.name)
        plain.settimeout(self._endpoint.stall_timeout)
        self.sock = stream
        return stream


@contextmanager
def open_body(endpoint: Endpoint, cancellation: Cancellation) -> Iterator[Body]:
    """Ask for a URL and yield the body of the answer.

    Raises:
        TransferError: The server can't be reached, or answers with an error.
        CertificateError: It shows a certificate other than the lease names.
    """
    parts = urlsplit(endpoint.url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    connection = _connect(endpoint, parts.port or 443)
    try:
        response, stream = _ask(connection, path, endpoint, cancellation)
        # The connection forgets an answer that ends it; then only the answer holds the socket.
        with response, cancellation.watching(stream.connection):
            yield Body(response, stream, endpoint)
    finally:
        connection.close()


def _ask(
    connection: _Connection,
    path: str,
    endpoint: Endpoint,
    cancellation: Cancellation,
) -> tuple[http.client.HTTPResponse, TlsStream]:
    try:
        stream = connection.secured()
        with cancellation.watching(stream.connection):
            connection.request("GET", path, headers={"Accept-Encoding": "identity"})
            response = connection.getresponse()
    except ssl.SSLCertVerificationError as error:
        raise CertificateError(
            f"The certificate of {endpoint} is not trusted: {error.verify_message}."
        ) from error
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise TransferError(f"{endpoint} can't be reached: {reason}.") from error
    if response.status != http.HTTPStatus.OK:
        raise TransferError(
            f"{endpoint} answered {response.status} {response.reason}.",
            retry_after=_seconds(response.getheader("Retry-After")),
        )
    return response, stream


def _connect(endpoint: Endpoint, port: int) -> _Connection:
    if endpoint.proxy is None:
        return _Connection(endpoint, endpoint.host, port)
    connection = _Connection(endpoint, *endpoint.proxy)
    connection.set_tunnel(endpoint.host, port)
    return connection


def _seconds(header: str | None) -> float:
    return min(float(header), _LONGEST_PAUSE) if header and header.isdigit() else 0.0
