# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much of the host a confined program may take: memory, CPU and I/O.

Two ways, since neither is to be had everywhere. What every Linux has, also without
systemd and in a container, is what a process inherits: its niceness (the kernel
derives its I/O priority from it), a limit on its address space, and a score that
makes the kernel choose it, and not a service of the host, when memory runs out.
Where the memory controller of control groups v2 is delegated to where this process
runs, a group of its own bounds all programs of one sandbox together as well.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

# Chosen before anything that has the usual score of 0, and before nothing that has 1000.
_OUT_OF_MEMORY_SCORE = 500
_MIB = 1024 * 1024
_GROUP_PREFIX = "hypersdk-hyper2kvm-"
_SEARCH_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Limits:
    """What one sandbox may take.

    Attributes:
        nice: Niceness, 0 to 19; the higher, the more others come first.
        memory_mb: Memory in MiB that each program may address, and that all of them
            may use together where a control group can be made; 0 is without a limit.
    """

    nice: int = 0
    memory_mb: int = 0


UNLIMITED = Limits()


def limiting_arguments(limits: Limits) -> list[str]:
    """Return the argument vector that goes in front of the sandbox's own; all of it execs."""
    # A core dump of QEMU holds the guest's memory.
    resources = ["prlimit", "--core=0"]
    if limits.memory_mb:
        resources.append(f"--as={limits.memory_mb * _MIB}")
    wanted = [resources, ["choom", "-n", str(_OUT_OF_MEMORY_SCORE), "--"]]
    if limits.nice:
        wanted.insert(0, ["nice", "-n", str(limits.nice)])
    # All three come with coreutils and util-linux; without one of them a conversion still runs.
    return [
        part for vector in wanted if shutil.which(vector[0], path=_SEARCH_PATH) for part in vector
    ]


@contextmanager
def control_group(
    limits: Limits, mounts: str | None = None, own: str | None = None
) -> Iterator[Path | None]:
    """Make a control group for one sandbox; it is gone when the block ends.

    Yields its directory, or None where there is nothing to bound or no group can be made.

    Args:
        limits: What it bounds.
        mounts: Content of /proc/self/mountinfo, which is read when None.
        own: Content of /proc/self/cgroup, which is read when None.
    """
    parent = _parent_group(mounts, own) if limits.memory_mb else None
    group = _make_group(parent, limits) if parent is not None else None
    try:
        yield group
    finally:
        if group is not None:
            _remove(group)


def join_group(group: Path, pid: int) -> None:
    """Move a process into a control group; what it starts from then on is in there too."""
    with suppress(OSError):  # It has ended.
        (group / "cgroup.procs").write_text(f"{pid}\n", encoding="ascii")


def _parent_group(mounts: str | None, own: str | None) -> Path | None:
    """Return the nearest group above this process whose children's memory can be bounded."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8") if mounts is None else mounts
        own = Path("/proc/self/cgroup").read_text("utf-8") if own is None else own
    except OSError:
        return None
    # mountinfo: … root mount-point options [tags] - type source options (proc(5)).
    mounted = re.search(r"^\S+ \S+ \S+ (\S+) (\S+) .* - cgroup2 ", mounts, re.MULTILINE)
    member = re.search(r"^0::(/.*)$", own, re.MULTILINE)
    if mounted is None or member is None:
        return None
    top = Path(mounted.group(2))
    group = top / member.group(1).lstrip("/")
    while True:
        # A group whose own processes stand in the way has no controller for its children.
        try:
            controllers = (group / "cgroup.subtree_control").read_text("ascii").split()
        except OSError:
            controllers = []
        if "memory" in controllers and os.access(group, os.W_OK):
            return group
        if group == top or top not in group.parents:
            return None
        group = group.parent


def _make_group(parent: Path, limits: Limits) -> Path | None:
    # Those of modules that were killed.
    for stale in parent.glob(f"{_GROUP_PREFIX}*"):
        maker = stale.name[len(_GROUP_PREFIX) :].partition("-")[0]
        if not Path("/proc", maker).exists():
            with suppress(OSError):
                stale.rmdir()
    group = parent / f"{_GROUP_PREFIX}{os.getpid()}-{os.urandom(4).hex()}"
    try:
        group.mkdir()
        (group / "memory.max").write_text(f"{limits.memory_mb * _MIB}\n", encoding="ascii")
    except OSError:
        with suppress(OSError):
            group.rmdir()
        return None
    with suppress(OSError):  # Without the CPU controller niceness does it alone.
        (group / "cpu.weight.nice").write_text(f"{limits.nice}\n", encoding="ascii")
    return group


def _remove(group: Path) -> None:
    # A process that was killed a moment ago may still be counted.
    for _turn in range(20):
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
