# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several checks at once on one host, as many as its memory bears.

Ansible runs a task for many VMs at the same time, each in a process of its own
that knows nothing of the others. So each check reserves its guest's memory in a
directory of this host before it starts QEMU, and waits while there is too little.
A reservation is a file that its owner holds locked: the kernel lets go of it
when the owner dies, however that happens, and the next one takes the file away.

A guest takes its memory only as it touches it. So what counts is what the
kernel calls available, less what the running guests may still take.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .errors import BootCheckError

# QEMU's own needs beside the guest's memory, and what is left to the host, in MiB.
OVERHEAD_MB = 192
SPARE_MB = 256

_GATE_NAME = "gate"
_SUFFIX = ".reservation"
_POLL = 1.0
_MIB = 1 << 20


@dataclass(frozen=True)
class HostMemory:
    """What there is, in MiB.

    Attributes:
        total: All that could be used here if nothing else ran.
        available: What can be had now without swapping.
    """

    total: int
    available: int


@dataclass(frozen=True)
class Reservation:
    """What one running check may use: its process, all of it, and what is not touched yet (MiB)."""

    owner: int
    amount: int
    outstanding: int


def default_directory() -> Path:
    """Return where checks of this user on this host know of each other."""
    user = os.geteuid()
    if user == 0:
        return Path("/run/hypersdk-hyper2kvm")
    return Path(tempfile.gettempdir()) / f"hypersdk-hyper2kvm-{user}"


@contextmanager
def reserved(memory_mb: int, timeout: float, directory: Path | None = None) -> Iterator[float]:
    """Hold memory for a guest until the with block ends; yields how long that took, in seconds.

    Args:
        memory_mb: The guest's memory in MiB; QEMU's own need is added.
        timeout: How long to wait for it, in seconds.
        directory: Where the reservations are; this user's on this host when None.

    Raises:
        BootCheckError: The host has not that much, or it was not free in time.
    """
    needed = memory_mb + OVERHEAD_MB
    place = _private(directory or default_directory())
    began = time.monotonic()
    handle, path = _wait(place, needed, timeout)
    try:
        yield time.monotonic() - began
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def host_memory(meminfo: str, limits: Iterator[tuple[int, int]] | None = None) -> HostMemory:
    """Return the host's memory, or the tightest limit of a control group around us.

    Args:
        meminfo: Text of /proc/meminfo.
        limits: Pairs of a limit and what of it is in use, in bytes.
    """
    fields = dict(line.split(":", 1) for line in meminfo.splitlines() if ":" in line)
    total = int(fields["MemTotal"].split()[0]) // 1024
    available = int(fields["MemAvailable"].split()[0]) // 1024
    for limit, used in limits or ():
        total = min(total, limit // _MIB)
        available = min(available, max(0, limit - used) // _MIB)
    return HostMemory(total, available)


def _wait(place: Path, needed: int, timeout: float) -> tuple[int, Path]:
    deadline = time.monotonic() + timeout
    while True:
        with _gate(place):
            others = list(_reservations(place))
            memory = host_memory(Path("/proc/meminfo").read_text(encoding="ascii"), _limits())
            free = memory.available - sum(other.outstanding for other in others) - SPARE_MB
            if needed <= free:
                return _reserve(place, needed)
        if needed > memory.total - SPARE_MB:
            raise BootCheckError(
                f"The check needs {needed} MiB of memory, and this host has {memory.total} MiB.",
                action="Give the guest less for the check: memory_mb.",
            )
        if time.monotonic() >= deadline:
            held = "no other check runs"
            if others:
                amount = sum(other.amount for other in others)
                held = (
                    f"{len(others)} other check{'s hold' if others[1:] else ' holds'} {amount} MiB"
                )
            raise BootCheckError(
                f"The check needs {needed} MiB of memory, and after {timeout:.0f} s {max(0, free)}"
                f" MiB are free: of {memory.total} MiB {memory.available} are available, {held}.",
                action="Run fewer at once (forks, throttle), give the guest less for the check"
                " (memory_mb), or wait longer (memory_timeout).",
            )
        time.sleep(_POLL)


def _private(directory: Path) -> Path:
    """Make the directory; one that belongs to somebody else is refused: /tmp is everybody's."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise BootCheckError(
            f"{directory}, where boot checks reserve memory, is not this user's own directory.",
            action="Remove it.",
        )
    return directory


@contextmanager
def _gate(place: Path) -> Iterator[None]:
    """Let one check at a time look and reserve."""
    handle = os.open(place / _GATE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _reserve(place: Path, amount: int) -> tuple[int, Path]:
    handle, name = tempfile.mkstemp(suffix=_SUFFIX, dir=place)
    fcntl.flock(handle, fcntl.LOCK_EX)
    os.write(handle, f"{os.getpid()} {amount}\n".encode())
    return handle, Path(name)


def _reservations(place: Path) -> Iterator[Reservation]:
    """Return those whose owner lives, and remove the others."""
    touched: dict[int, int] | None = None
    for path in sorted(place.glob(f"*{_SUFFIX}")):
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # Its owner has ended meanwhile.
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        except BlockingIOError:
            owner, amount = (int(field) for field in os.read(handle, 64).split())
            touched = _resident() if touched is None else touched
            outstanding = max(0, amount - touched.get(owner, 0))
            yield Reservation(owner, amount, outstanding)
        finally:
            os.close(handle)


def _resident() -> dict[int, int]:
    """Return, for every process, how much memory its descendants have touched, in MiB."""
    page = os.sysconf("SC_PAGE_SIZE")
    parents: dict[int, int] = {}
    pages: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            stat_fields = Path(f"/proc/{name}/stat").read_text(errors="replace").rpartition(")")[2]
            statm = Path(f"/proc/{name}/statm").read_text(encoding="ascii")
        except OSError:
            continue  # It has ended meanwhile.
        parents[int(name)] = int(stat_fields.split()[1])
        pages[int(name)] = int(statm.split()[1])
    sums: dict[int, int] = {}
    for pid, count in pages.items():
        ancestor = parents.get(pid, 0)
        while ancestor > 1:
            sums[ancestor] = sums.get(ancestor, 0) + count
            ancestor = parents.get(ancestor, 0)
    return {pid: count * page // _MIB for pid, count in sums.items()}


def _limits() -> Iterator[tuple[int, int]]:
    """Yield the memory limits of the control groups that we are in (version 2), with their use."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    own = next((line[3:] for line in lines if line.startswith("0::")), None)
    if own is None:
        return
    root = Path("/sys/fs/cgroup")
    group = root / own.lstrip("/")
    while root == group or root in group.parents:
        try:
            limit = (group / "memory.max").read_text(encoding="ascii").strip()
            used = int((group / "memory.current").read_text(encoding="ascii"))
            if limit != "max":
                # Cached pages of files count as used there, and are given back when needed.
                yield int(limit), max(0, used - _cached(group))
        except (OSError, ValueError):
            pass  # The root group has neither file.
        group = group.parent


def _cached(group: Path) -> int:
    text = (group / "memory.stat").read_text(encoding="ascii")
    fields = dict(line.split() for line in text.splitlines())
    return int(fields.get("inactive_file", 0)) + int(fields.get("active_file", 0))
