# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Time whole processes by the operating system's own account."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

_LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Run:
    """One finished run: seconds by the clock, seconds of all cores, peak memory of one process."""

    wall: float
    cpu: float
    peak_mib: float


class Failed(Exception):
    """A contender did not do its work; its figures would mean nothing."""


def run(argv: Sequence[str], log: Path) -> Run:
    """Run a command to its end.

    Args:
        argv: The command.
        log: Takes what it prints.

    Raises:
        Failed: It ended with an error.
    """
    reader, writer = os.pipe()
    with log.open("wb") as output, os.fdopen(reader) as account:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LAUNCHER), *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[writer],
            env={**os.environ, "ACCOUNT_DESCRIPTOR": str(writer)},
        )
        os.close(writer)
        figures = json.loads(account.read())
        process.wait()
    if figures.pop("status"):
        raise Failed(f"{' '.join(argv[:3])} … failed:\n{log.read_text(errors='replace')}")
    return Run(**figures)


def medians(runs: Sequence[Run]) -> Run:
    """Return the median of each figure."""
    return Run(
        median(entry.wall for entry in runs),
        median(entry.cpu for entry in runs),
        median(entry.peak_mib for entry in runs),
    )
