# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm import memory
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.errors import BootCheckError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.memory import (
    host_memory,
    reserved,
)

MEMINFO = "MemTotal:       16384000 kB\nMemFree:  100 kB\nMemAvailable:    8192000 kB\n"
GIB = 1 << 30


def files(directory: Path) -> list[str]:
    return sorted(path.suffix for path in directory.iterdir() if path.suffix)


def test_what_a_host_has() -> None:
    assert host_memory(MEMINFO) == memory.HostMemory(16000, 8000)
    limited = host_memory(MEMINFO, iter([(64 * GIB, 0), (4 * GIB, 3 * GIB)]))
    assert limited == memory.HostMemory(4096, 1024)
    assert host_memory(MEMINFO, iter([(GIB, 2 * GIB)])).available == 0


def test_a_reservation_is_there_and_gone(tmp_path: Path) -> None:
    directory = tmp_path / "here"
    with reserved(64, 5, directory) as waited:
        assert waited < 5
        assert files(directory) == [".reservation"]
        [held] = memory._reservations(directory)
        assert (held.owner, held.amount) == (os.getpid(), 64 + memory.OVERHEAD_MB)
    assert files(directory) == []
    assert directory.stat().st_mode & 0o777 == 0o700


def test_one_whose_owner_died_counts_no_more(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        f"from {memory.__name__} import reserved\n"
        "with reserved(64, 5, Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        [held] = memory._reservations(tmp_path)
        assert held.owner == holder.pid
        holder.kill()
    assert list(memory._reservations(tmp_path)) == []
    assert files(tmp_path) == []


def test_what_other_checks_may_still_take_is_not_free(tmp_path: Path) -> None:
    available = host_memory(Path("/proc/meminfo").read_text()).available
    most = int(available * 0.7)
    with reserved(most, 5, tmp_path):
        began = time.monotonic()
        with (
            pytest.raises(BootCheckError, match="1 other check holds") as raised,
            reserved(most, 1.5, tmp_path),
        ):
            pass
        assert time.monotonic() - began >= 1.5
        assert "memory_timeout" in raised.value.action
        with reserved(16, 5, tmp_path):
            pass


def test_more_than_there_is_fails_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(BootCheckError, match="this host has"), reserved(1 << 24, 60, tmp_path):
        pass
    assert time.monotonic() - began < 10


def test_a_link_in_a_directory_s_place(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with (
        pytest.raises(BootCheckError, match="own directory"),
        reserved(16, 1, tmp_path / "link"),
    ):
        pass


def test_somebody_else_s_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(BootCheckError, match="own directory"), reserved(16, 1, tmp_path):
        pass
