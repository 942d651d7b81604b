# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""QEMU's machine protocol, as much of it as a boot check needs (docs/interop/qmp-spec of QEMU)."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from .errors import BootCheckError

_ANSWER_TIMEOUT = 20.0
_LONGEST_MESSAGE = 1024 * 1024


class Qmp:
    """A connection to a QEMU that listens on a socket; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Connect; raises BootCheckError when nothing answers.

        Args:
            path: The socket. It may be longer than the 108 bytes that the address of
                one has: it is reached through a descriptor of its directory.
        """
        self._received = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_ANSWER_TIMEOUT)
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            self._socket.connect(f"/proc/self/fd/{directory}/{path.name}")
            self._message()
            self.execute("qmp_capabilities")
        except OSError as error:
            self._socket.close()
            raise BootCheckError(f"QEMU's monitor at {path} does not answer: {error}.") from error
        finally:
            os.close(directory)

    def __enter__(self) -> Qmp:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def execute(self, command: str, **arguments: Any) -> Any:
        """Run a command and return what it returns.

        Raises:
            BootCheckError: QEMU refuses it, or does not answer in time.
        """
        request = {"execute": command, "arguments": arguments}
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            deadline = time.monotonic() + _ANSWER_TIMEOUT
            while time.monotonic() < deadline:
                message = self._message()
                if "error" in message:
                    raise BootCheckError(
                        f"QEMU refused {command}: {message['error'].get('desc', 'no reason given')}."
                    )
                if "return" in message:
                    return message["return"]
        except (OSError, ValueError) as error:
            raise BootCheckError(f"QEMU did not answer {command}: {error}.") from error
        raise BootCheckError(f"QEMU did not answer {command} in time.")

    def _message(self) -> dict[str, Any]:
        while b"\n" not in self._received:
            chunk = self._socket.recv(65536)
            if not chunk:
                raise ConnectionResetError("the connection was closed")
            self._received += chunk
            if len(self._received) > _LONGEST_MESSAGE:
                raise ValueError("an endless message")
        line, _newline, self._received = self._received.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message
