# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run one program in the sandbox to its end, its output streamed."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .confinement import BUBBLEWRAP, Confinement
from .limits import UNLIMITED, Limits
from .process import STDOUT, start

# What is kept in memory, whatever the program prints.
_STDOUT_LIMIT = 4 * 1024 * 1024
_LINE_LIMIT = 8192
_TAIL_LINES = 60
_LOG_LIMIT = 64 * 1024 * 1024

_LINE_END = re.compile(rb"\r\n|\n|\r")
# Between two looks at the clock, in seconds.
_TICK = 0.25


@dataclass(frozen=True)
class Completed:
    """How a program ended.

    Attributes:
        returncode: Its exit status; negative or above 128 for a signal.
        timed_out: Whether it was stopped at the time-out.
        seconds: How long it ran.
        stdout: What it printed, at most 4 MiB.
        tail: The last lines of stdout and stderr as they came.
    """

    returncode: int
    timed_out: bool
    seconds: float
    stdout: bytes
    tail: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with exit status 0."""
        return self.returncode == 0 and not self.timed_out


def run(
    argv: Sequence[str],
    *,
    writable: Sequence[Path] = (),
    readonly: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
    timeout: float,
    on_line: Callable[[str], None] | None = None,
    log_path: Path | None = None,
    kvm: bool = False,
    isolation: str = BUBBLEWRAP,
    limits: Limits = UNLIMITED,
    cancelled: threading.Event | None = None,
    empty_devices: Sequence[str] = (),
) -> Completed:
    """Run *argv* confined and return how it ended; nothing of it is left then.

    Args:
        argv: The program and its arguments.
        writable: Files and directories that it may write.
        readonly: Files and directories that it may read but never write, also
            inside writable ones; what lies in /tmp, /var/tmp or /run is seen
            only when it is named here or in *writable*.
        environment: Variables beside the sandbox's own few.
        timeout: Seconds until it gets SIGTERM and, soon after, SIGKILL.
        on_line: Called with each line of stdout and stderr, without its end.
        log_path: File that stdout and stderr are appended to, up to 64 MiB.
        kvm: Whether it gets /dev/kvm (see kvm_works).
        isolation: "bubblewrap", or "none".
        limits: What it may take of the host's memory and CPU.
        cancelled: Ends it when another thread sets it.
        empty_devices: Names in its /dev that are there and hold nothing.

    Raises:
        SandboxError: bwrap is missing or can't make the sandbox, or *argv* can't be started.
    """
    confinement = Confinement(
        writable=tuple(writable),
        readonly=tuple(readonly),
        kvm=kvm,
        isolation=isolation,
        limits=limits,
        empty_devices=empty_devices,
    )
    began = time.monotonic()
    with (
        _Output(on_line, log_path) as output,
        start(argv, confinement, environment=environment) as process,
    ):
        deadline = began + timeout
        timed_out = False
        while process.pump(output.take, _TICK):
            timed_out = time.monotonic() >= deadline
            if timed_out or (cancelled is not None and cancelled.is_set()):
                process.stop()
                break
        output.finish()
        returncode = process.returncode
    return Completed(
        returncode=-1 if returncode is None else returncode,
        timed_out=timed_out,
        seconds=time.monotonic() - began,
        stdout=bytes(output.stdout),
        tail=tuple(output.tail),
    )


class _Output:
    """Splits what comes into lines, in bounded memory, and keeps what is asked for."""

    def __init__(self, on_line: Callable[[str], None] | None, log_path: Path | None) -> None:
        self.stdout = bytearray()
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._on_line = on_line
        self._log_path = log_path
        self._log: IO[bytes] | None = None
        self._log_room = _LOG_LIMIT
        self._rest: dict[str, bytes] = {}
        self._ends_with_return: dict[str, bool] = {}

    def __enter__(self) -> _Output:
        if self._log_path is not None:
            self._log = open(self._log_path, "ab")
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._log is not None:
            self._log.close()

    def take(self, name: str, chunk: bytes) -> None:
        if name == STDOUT:
            self.stdout += chunk[: _STDOUT_LIMIT - len(self.stdout)]
        if self._log is not None and self._log_room > 0:
            self._log.write(chunk[: self._log_room])
            self._log_room -= len(chunk)
            self._log.flush()
        # A "\r\n" that came in two pieces ends one line, not two.
        if self._ends_with_return.get(name) and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._ends_with_return[name] = chunk.endswith(b"\r")
        *lines, rest = _LINE_END.split(self._rest.get(name, b"") + chunk)
        if len(rest) > _LINE_LIMIT:
            lines.append(rest)
            rest = b""
        self._rest[name] = rest
        for line in lines:
            self._line(line)

    def finish(self) -> None:
        for rest in self._rest.values():
            if rest:
                self._line(rest)
        self._rest.clear()

    def _line(self, line: bytes) -> None:
        text = line[:_LINE_LIMIT].decode("utf-8", errors="replace")
        self.tail.append(text)
        if self._on_line is not None:
            self._on_line(text)
