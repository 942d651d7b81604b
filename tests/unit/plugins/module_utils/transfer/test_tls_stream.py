# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stream against a TLS server of Python's own."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.tls import (
    CertificateError,
    pinned_context,
    unverified_context,
    verified_context,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.transfer.tls_stream import (
    TlsStream,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.certificates import self_signed

DATA = bytes(range(256)) * 4000


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("certificate") / "server.pem", "IP:127.0.0.1")


@contextmanager
def serving(certificate: Path, serve: Callable[[ssl.SSLSocket], None]) -> Iterator[socket.socket]:
    """Yield a TCP connection to a TLS server that does this once."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        plain, _address = listener.accept()
        try:
            with context.wrap_socket(plain, server_side=True) as secure:
                serve(secure)
        except OSError:
            pass  # the client refused

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    with listener, socket.create_connection(listener.getsockname(), timeout=5) as connection:
        yield connection
    thread.join(5)


def drain(stream: TlsStream, size: int = 100_000) -> bytes:
    received, buffer = bytearray(), memoryview(bytearray(size))
    while count := stream.recv_into(buffer):
        received += buffer[:count]
    return bytes(received)


def test_all_arrives_whatever_the_sizes(certificate: Path) -> None:
    def serve(secure: ssl.SSLSocket) -> None:
        assert secure.recv(100) == b"begin"
        for start in range(0, len(DATA), 77_777):
            secure.sendall(DATA[start : start + 77_777])
        secure.unwrap()

    with serving(certificate, serve) as connection:
        stream = TlsStream(connection, unverified_context(), "127.0.0.1")
        stream.sendall(b"begin")
        assert drain(stream, 10_001) == DATA


def test_a_record_that_comes_byte_by_byte_is_waited_for(certificate: Path) -> None:
    """Over a connection that carries one byte at a time, as a bad network may."""

    def serve(secure: ssl.SSLSocket) -> None:
        secure.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        secure.sendall(b"x" * 3000)

    with serving(certificate, serve) as connection:
        stream = TlsStream(_Trickle(connection), unverified_context(), "127.0.0.1")  # type: ignore[arg-type]
        assert drain(stream) == b"x" * 3000


class _Trickle:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def recv_into(self, buffer: memoryview) -> int:
        return self._connection.recv_into(buffer[:1])

    def sendall(self, data: bytes) -> None:
        self._connection.sendall(data)


def test_an_end_without_goodbye_is_an_end(certificate: Path) -> None:
    def serve(secure: ssl.SSLSocket) -> None:
        secure.sendall(b"part")
        time.sleep(0.1)

    with serving(certificate, serve) as connection:
        assert drain(TlsStream(connection, unverified_context(), "127.0.0.1")) == b"part"


def test_another_certificate_than_the_pinned_is_refused(certificate: Path) -> None:
    der = ssl.PEM_cert_to_DER_cert(
        certificate.read_text().partition("KEY-----\n")[2].partition("KEY-----\n")[2]
    )
    right, wrong = hashlib.sha1(der).hexdigest(), hashlib.sha256(b"other").hexdigest()
    with serving(certificate, lambda secure: secure.sendall(b"data")) as connection:
        assert drain(TlsStream(connection, pinned_context(right), "127.0.0.1")) == b"data"
    received = []
    with (
        serving(certificate, lambda secure: received.append(secure.recv(100))) as connection,
        pytest.raises(CertificateError, match="showed a certificate with the thumbprint"),
    ):
        TlsStream(connection, pinned_context(wrong), "127.0.0.1")
    assert not any(received), "nothing is sent to a server that is not the right one"


def test_name_and_authority_are_checked(certificate: Path) -> None:
    for name, context, refused in (
        ("127.0.0.1", verified_context(str(certificate)), None),
        ("192.0.2.1", verified_context(str(certificate)), "IP address mismatch"),
        ("127.0.0.1", verified_context(None), "self-signed certificate"),
    ):
        with serving(certificate, lambda secure: secure.sendall(b"data")) as connection:
            if refused is None:
                assert drain(TlsStream(connection, context, name)) == b"data"
                continue
            with pytest.raises(ssl.SSLCertVerificationError, match=refused):
                TlsStream(connection, context, name)
