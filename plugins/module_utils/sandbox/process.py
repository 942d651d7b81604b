# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One program in the sandbox, from its start to the end of all that it started."""

from __future__ import annotations

import json
import os
import select
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .confinement import (
    BASE_ENVIRONMENT,
    BUBBLEWRAP,
    ISOLATIONS,
    Confinement,
    bubblewrap_arguments,
    clean_environment,
    find_bubblewrap,
)
from .errors import SandboxError
from .limits import control_group, join_group, limiting_arguments

STDOUT = "stdout"
STDERR = "stderr"

_CHUNK = 65536
# How long a program may take to leave after SIGTERM, in seconds.
_GRACE = 5.0
# bwrap tells its child's PID as soon as it has forked; a loaded host takes longer.
_START_TIMEOUT = 30.0


class SandboxedProcess:
    """A running program; made by start()."""

    def __init__(self, popen: subprocess.Popen[bytes], *, first_pid: int, confined: bool) -> None:
        self._popen = popen
        self._confined = confined
        self._selector = selectors.DefaultSelector()
        for stream, name in ((popen.stdout, STDOUT), (popen.stderr, STDERR)):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                self._selector.register(stream, selectors.EVENT_READ, name)
        self.first_pid = first_pid
        # A descriptor still means this process when its number has been given away.
        self._first = _pidfd(first_pid) if confined else None

    @property
    def returncode(self) -> int | None:
        """The exit status (128 + signal as in a shell under bwrap), None while it runs."""
        return self._popen.poll()

    def pump(self, on_output: Callable[[str, bytes], None], wait: float) -> bool:
        """Hand over what the program printed.

        Args:
            on_output: Called with "stdout" or "stderr" and the bytes.
            wait: Longest time to wait for output, in seconds.

        Returns:
            Whether the program may still print something.
        """
        if not self._selector.get_map():
            try:
                self._popen.wait(wait)
            except subprocess.TimeoutExpired:
                return True
            return False
        for key, _events in self._selector.select(wait):
            stream: IO[bytes] = key.fileobj  # type: ignore[assignment]
            chunk = os.read(stream.fileno(), _CHUNK)
            if chunk:
                on_output(key.data, chunk)
            else:
                self._selector.unregister(stream)
        return bool(self._selector.get_map()) or self._popen.poll() is None

    def stop(self, grace: float = _GRACE) -> None:
        """Send SIGTERM to all of it, after *grace* seconds SIGKILL; returns when it is gone."""
        if self._popen.poll() is None:
            for pid in self._members():
                _send(pid, signal.SIGTERM)
            deadline = time.monotonic() + grace
            while time.monotonic() < deadline and self._popen.poll() is None:
                # Read on: a program that blocks on a full pipe can't leave.
                self.pump(lambda _name, _chunk: None, 0.05)
        self._kill()

    def close(self) -> None:
        """Leave nothing behind: kill what still runs, close the pipes."""
        self._kill()
        if self._first is not None:
            os.close(self._first)
            self._first = None
        self._selector.close()
        for stream in (self._popen.stdout, self._popen.stderr):
            if stream is not None:
                stream.close()

    def _kill(self) -> None:
        if self._confined:
            # Killing the first process of a PID namespace makes the kernel kill the rest.
            if self._first is not None:
                _send_to(self._first, signal.SIGKILL)
                # It ends after all of the rest, and bwrap itself may before.
                gone = select.poll()
                gone.register(self._first, select.POLLIN)
                gone.poll(_GRACE * 1000)
        else:
            _send_group(self._popen.pid, signal.SIGKILL)
        if self._popen.poll() is None:
            self._popen.kill()
        self._popen.wait()

    def _members(self) -> list[int]:
        """Return the PIDs to be asked to leave, the namespace's own init left out."""
        if not self._confined:
            return [-self._popen.pid]
        try:
            namespace = os.readlink(f"/proc/{self.first_pid}/ns/pid")
        except OSError:
            return []
        return [
            pid for pid in _all_pids() if pid != self.first_pid and _pid_namespace(pid) == namespace
        ]


@contextmanager
def start(
    argv: Sequence[str],
    confinement: Confinement,
    *,
    environment: Mapping[str, str] | None = None,
    working_directory: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> Iterator[SandboxedProcess]:
    """Start *argv*; when the with block ends, for whatever reason, it is gone.

    Args:
        argv: The program and its arguments.
        confinement: What it may reach.
        environment: Variables beside the sandbox's own few.
        working_directory: Where it runs; "/" otherwise.
        pass_fds: File descriptors of ours that it gets, under the same numbers.

    Raises:
        SandboxError: bwrap is missing, or the sandbox can't be made.
    """
    if confinement.isolation not in ISOLATIONS:
        raise SandboxError(f"There is no isolation {confinement.isolation!r}.")
    if shutil.which(argv[0], path=BASE_ENVIRONMENT["PATH"]) is None:
        raise SandboxError(
            f"The program {argv[0]} does not exist on this host.",
            action="Install it on the conversion host, or give its path.",
        )
    whole = clean_environment(environment or {})
    with control_group(confinement.limits) as group:
        process = _launch(argv, confinement, whole, working_directory, pass_fds, group)
        try:
            yield process
        finally:
            process.close()


def _launch(
    argv: Sequence[str],
    confinement: Confinement,
    environment: dict[str, str],
    working_directory: Path | None,
    pass_fds: Sequence[int],
    group: Path | None,
) -> SandboxedProcess:
    limits = limiting_arguments(confinement.limits)
    if confinement.isolation != BUBBLEWRAP:
        popen = _popen([*limits, *argv], environment, working_directory, pass_fds)
        if group is not None:
            join_group(group, popen.pid)
        return SandboxedProcess(popen, first_pid=popen.pid, confined=False)
    program = find_bubblewrap()
    with _pipe() as (information, tell), _pipe() as (wait, go_on):
        arguments = bubblewrap_arguments(
            confinement,
            program=program,
            information_fd=tell.fileno(),
            wait_fd=wait.fileno(),
        )
        passed = (tell.fileno(), wait.fileno(), *pass_fds)
        popen = _popen([*limits, *arguments, *argv], environment, working_directory, passed)
        tell.close()
        try:
            first_pid = _read_child_pid(information.fileno(), popen)
            if group is not None:
                # Before the first process of the sandbox has started another one.
                for pid in (popen.pid, first_pid):
                    join_group(group, pid)
            go_on.write(b"1")
        except BaseException:
            _abandon(popen)
            raise
    return SandboxedProcess(popen, first_pid=first_pid, confined=True)


def _abandon(popen: subprocess.Popen[bytes]) -> None:
    """Kill a bwrap that has not let its program go on yet, and its child, which waits for that."""
    try:
        children = Path(f"/proc/{popen.pid}/task/{popen.pid}/children").read_text("ascii").split()
    except OSError:
        children = []
    # The child first: once its parent is gone its number may be given away.
    for child in children:
        _send(int(child), signal.SIGKILL)
    popen.kill()
    popen.wait()


@contextmanager
def _pipe() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Make a pipe; both ends are closed when the block ends."""
    read_fd, write_fd = os.pipe()
    with os.fdopen(read_fd, "rb", 0) as reader, os.fdopen(write_fd, "wb", 0) as writer:
        yield reader, writer


def _popen(
    argv: Sequence[str],
    environment: dict[str, str],
    working_directory: Path | None,
    pass_fds: Sequence[int],
) -> subprocess.Popen[bytes]:
    # ansible-test would have run_command(), which neither streams lines nor ends a process by
    # its descriptor, and is AnsibleModule's.
    try:
        return subprocess.Popen(  # pylint: disable=ansible-bad-function,consider-using-with
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=working_directory or "/",
            start_new_session=True,
            pass_fds=pass_fds,
        )
    except OSError as error:
        raise SandboxError(
            f"{argv[0]} could not be started: {error.strerror or error}.",
            action="Install it on the conversion host, or give its path.",
        ) from error


def _read_child_pid(read_fd: int, popen: subprocess.Popen[bytes]) -> int:
    """Return what bwrap says on --info-fd, or raise with what it said on stderr."""
    text = b""
    with selectors.DefaultSelector() as selector:
        selector.register(read_fd, selectors.EVENT_READ)
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                break
            chunk = os.read(read_fd, 4096)
            if not chunk:
                break
            text += chunk
            if b"}" in text:
                return int(json.loads(text)["child-pid"])
    popen.kill()
    _output, complaint = popen.communicate()
    raise SandboxError(
        "bubblewrap could not make the sandbox: "
        + (complaint.decode(errors="replace").strip() or "it said nothing")
        + ".",
        action="It needs to be allowed to make mount, PID and network namespaces; where no"
        " namespace can be made, isolation: none runs without the protection.",
    )


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _pid_namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _send_to(pidfd: int, number: signal.Signals) -> None:
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        pass


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _send_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass
