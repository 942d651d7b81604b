# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bodies from an HTTPS server of Python's own, under a name that does not resolve."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.tls import (
    CertificateError,
    verified_context,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.transfer.cancel import Cancellation
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.transfer.errors import (
    TransferError,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.transfer.http_body import (
    Endpoint,
    open_body,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.certificates import self_signed


class _Host(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        busy = self.path == "/busy"
        self.send_response(503 if busy else 200)
        self.send_header("Retry-After", "86400")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"disk")

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("certificate") / "server.pem", "DNS:esx01.example")


@pytest.fixture
def port(certificate: Path) -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def endpoint(certificate: Path, url: str) -> Endpoint:
    return Endpoint(url, verified_context(str(certificate)), address="127.0.0.1")


def test_the_certificate_is_for_the_name_and_not_for_the_address(
    certificate: Path, port: int
) -> None:
    buffer = memoryview(bytearray(100))
    with open_body(endpoint(certificate, f"https://esx01.example:{port}/"), Cancellation()) as body:
        assert bytes(buffer[: body.read_into(buffer)]) == b"disk"
    other = endpoint(certificate, f"https://esx02.example:{port}/")
    with pytest.raises(CertificateError), open_body(other, Cancellation()):
        pass


def test_a_server_can_not_have_us_wait_for_a_day(certificate: Path, port: int) -> None:
    busy = endpoint(certificate, f"https://esx01.example:{port}/busy")
    with pytest.raises(TransferError) as caught, open_body(busy, Cancellation()):
        pass
    assert caught.value.details["retry_after"] == 120
