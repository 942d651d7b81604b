# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Without isolation: what run() does with output, time and processes wherever it runs."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.sandbox.errors import SandboxError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.sandbox.run import Completed, run
from ansible_collections.hypersdk.hyper2kvm.tests.support.processes import is_gone


def python(script: str, *, timeout: float = 30, **options: Any) -> Completed:
    return run(
        [sys.executable, "-c", script],
        timeout=timeout,
        isolation="none",
        **options,
    )


def test_lines_come_without_their_ends_and_the_last_without_one() -> None:
    lines: list[str] = []
    completed = python(
        r"import sys; sys.stdout.write('one\ntwo\r\nten%\r20%\rlast')", on_line=lines.append
    )
    assert completed.ok
    assert lines == ["one", "two", "ten%", "20%", "last"]
    assert completed.stdout == b"one\ntwo\r\nten%\r20%\rlast"


def test_a_line_end_that_is_cut_makes_no_empty_line() -> None:
    lines: list[str] = []
    script = (
        r"import sys, time; w = sys.stdout.buffer.raw.write; w(b'one\r'); time.sleep(0.3);"
        r" w(b'\ntwo\n')"
    )
    python(script, on_line=lines.append)
    assert lines == ["one", "two"]


def test_stdout_and_stderr_are_in_the_log_and_apart(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    completed = python(
        "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)",
        log_path=log,
    )
    assert completed.returncode == 3
    assert not completed.ok
    assert completed.stdout == b"out\n"
    assert log.read_text().startswith("before\n")
    assert {"out", "err"} <= set(log.read_text().splitlines())
    assert set(completed.tail) == {"out", "err"}


def test_memory_stays_bounded_whatever_is_printed() -> None:
    longest = 0

    def measure(line: str) -> None:
        nonlocal longest
        longest = max(longest, len(line))

    completed = python("import sys; sys.stdout.write('x' * 10_000_000)", on_line=measure)
    assert len(completed.stdout) == 4 * 1024 * 1024
    assert 0 < longest <= 8192
    assert len(completed.tail) <= 60


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert python(r"import os; os.write(1, b'\xff\xfe\n')").tail == ("\ufffd\ufffd",)


def test_the_time_out_ends_it_and_what_it_started(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    began = time.monotonic()
    completed = python(
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c',"
        " 'import time; time.sleep(600)']);"
        f" open({str(pid_file)!r}, 'w').write(str(p.pid)); p.wait()",
        timeout=1.5,
    )
    assert completed.timed_out
    assert time.monotonic() - began < 15
    assert is_gone(int(pid_file.read_text()))


def test_sigterm_comes_first() -> None:
    completed = python(
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(42));"
        " time.sleep(600)",
        timeout=1.5,
    )
    assert (completed.timed_out, completed.returncode) == (True, 42)


def test_a_program_that_ignores_sigterm_is_killed() -> None:
    completed = python(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
        timeout=1.0,
    )
    assert (completed.timed_out, completed.returncode) == (True, -signal.SIGKILL)


def test_nothing_of_it_is_left_when_the_caller_is_interrupted(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"

    def interrupt(_line: str) -> None:
        raise KeyboardInterrupt

    script = (
        f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid()));"
        " print('up', flush=True); time.sleep(600)"
    )
    with pytest.raises(KeyboardInterrupt):
        python(script, on_line=interrupt)
    assert is_gone(int(pid_file.read_text()))


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(SandboxError, match="/no/such/program does not exist"):
        run(["/no/such/program"], timeout=5, isolation="none")


def test_an_isolation_that_is_not_there() -> None:
    with pytest.raises(SandboxError, match="'chroot'"):
        run(["true"], timeout=5, isolation="chroot")


def test_another_thread_ends_it() -> None:
    cancelled = threading.Event()
    threading.Timer(0.5, cancelled.set).start()
    began = time.monotonic()
    completed = python("import time; time.sleep(60)", cancelled=cancelled)
    assert time.monotonic() - began < 20
    assert not completed.ok
    assert not completed.timed_out
