# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run programs so that nothing of them stays: no process, no mount, whatever happens.

debootstrap and what runs inside a guest's tree mount /proc and start programs.
They get a mount and a process namespace of their own, whose first process is
killed by the kernel when we die; with it goes all the rest.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# Dies with the thread that started it, even if that one is killed.
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")

_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private")
_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
}


class BuildError(Exception):
    """A step of building a guest failed; the text holds what its program said last."""


def run(
    argv: Sequence[str], *, seconds: float, environment: Mapping[str, str] | None = None
) -> str:
    """Run a program in namespaces of its own and return its output.

    Args:
        argv: The program and its arguments.
        seconds: After this time it is killed, with all that it started.
        environment: Variables beyond the few that are always set.

    Raises:
        BuildError: It failed or took too long.
    """
    if os.geteuid() != 0:
        raise BuildError("Guests are built as root: debootstrap makes device nodes and chroots.")
    try:
        done = subprocess.run(
            [*DIES_WITH_US, *_NAMESPACES, "--", *argv],
            env={**_ENVIRONMENT, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"{argv[0]} took longer than {seconds:.0f} s.") from error
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-30:])
        raise BuildError(f"{' '.join(argv[:3])} … ended with status {done.returncode}:\n{tail}")
    return done.stdout


def run_inside(
    tree: Path, script: str, *, seconds: float, environment: Mapping[str, str] | None = None
) -> str:
    """Run a shell script with the tree as its root, and /proc mounted in it."""
    outer = 'mount -t proc proc "$1/proc" && exec chroot "$1" /bin/sh -ec "$2"'
    return run(
        ["sh", "-c", outer, "sh", str(tree), script], seconds=seconds, environment=environment
    )
