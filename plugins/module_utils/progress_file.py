# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a long module is, in a small JSON file that anybody may read while it runs.

The module's action plugin shows it live; so can a person, with `watch cat`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from .atomic import write_text

#: Its name where a module has no directory of its own to write it to, in the task's temporary one.
FILE_NAME = "progress.json"
# Seconds between two writes.
_EVERY = 1.0
# Seconds over which the rate is averaged: steady enough to read, quick enough to follow.
_WINDOW = 15.0


@dataclass(frozen=True)
class State:
    """One look at how far a module is.

    Attributes:
        stage: What it does, in a word or two.
        percent: How much of that is done, 0 to 100, perhaps as an estimate; None where nobody knows.
        bytes_done: Bytes moved so far.
    """

    stage: str
    percent: float | None = None
    bytes_done: int = 0


class _Rates:
    """Derives rate and time left from the states of the last seconds."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, State]] = []

    def add(self, now: float, state: State) -> dict[str, float | None]:
        if self._seen and self._seen[-1][1].stage != state.stage:
            self._seen.clear()
        self._seen.append((now, state))
        while now - self._seen[0][0] > _WINDOW:
            self._seen.pop(0)
        before, earlier = self._seen[0]
        seconds = now - before
        if seconds <= 0:
            return {"bytes_per_second": None, "seconds_left": None}
        rate = (state.bytes_done - earlier.bytes_done) / seconds
        left = None
        if state.percent is not None and earlier.percent is not None:
            gained = state.percent - earlier.percent
            left = round(seconds * (100 - state.percent) / gained, 1) if gained > 0 else None
        return {"bytes_per_second": round(rate) if rate > 0 else None, "seconds_left": left}


@contextmanager
def progress_written(path: Path, look: Callable[[], State]) -> Iterator[None]:
    """Write how far the block is, every second until its end; then the file is gone.

    Progress is a courtesy: where the file can't be written, a full disk for one, the block goes on.

    Args:
        path: The file; its directory must be there.
        look: Tells how far it is; called from another thread.
    """
    rates, started, stop = _Rates(), time.time(), threading.Event()

    def write() -> None:
        now, state = time.time(), look()
        content = {
            **asdict(state),
            **rates.add(now, state),
            "started": round(started, 3),
            "updated": round(now, 3),
        }
        with suppress(OSError):
            write_text(path, json.dumps(content) + "\n")

    def keep_writing() -> None:
        while not stop.wait(_EVERY):
            write()

    write()
    writer = threading.Thread(target=keep_writing, name="progress", daemon=True)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()
        with suppress(OSError):
            path.unlink()
