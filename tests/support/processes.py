# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a process is gone."""

from __future__ import annotations

import time
from pathlib import Path


def is_gone(pid: int, within: float = 5.0) -> bool:
    """Tell whether a process ends within some seconds; one that only awaits its parent is gone."""
    deadline = time.monotonic() + within
    while _runs(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def with_argument(argument: str) -> list[int]:
    """Return the PIDs of the processes whose command line has an argument."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and argument.encode() in (entry / "cmdline").read_bytes().split(
                b"\0"
            ):
                found.append(int(entry.name))
        except OSError:
            continue  # It ended meanwhile.
    return found


def _runs(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    # The state follows the name, which is in parentheses and may hold some itself.
    return text.rpartition(")")[2].split()[0] not in ("Z", "X")
