# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An HTTP proxy that knows CONNECT, to see what goes through it."""

from __future__ import annotations

import socket
import socketserver
import threading
from types import TracebackType


class ConnectProxy:
    """A proxy on a free port of 127.0.0.1 that ends with the with block.

    targets lists what it was asked to connect to, as host:port.
    """

    def __init__(self) -> None:
        self.targets: list[str] = []
        proxy = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                method, target, _version = self.rfile.readline().decode().split()
                while self.rfile.readline().strip():
                    pass
                assert method == "CONNECT"
                proxy.targets.append(target)
                host, _colon, port = target.rpartition(":")
                with socket.create_connection((host, int(port))) as server:
                    self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    back = threading.Thread(target=_copy, args=(server, self.connection))
                    back.start()
                    _copy(self.connection, server)
                    back.join()

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> ConnectProxy:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one side has gone; the other will notice
