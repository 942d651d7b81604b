# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turn the signals that end a module into an exception that unwinds it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from .errors import Interrupted

_NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _interrupt(number: int, frame: FrameType | None) -> None:
    # What is cleaned up now is cleaned up whole: one that comes again does nothing. Not SIG_IGN,
    # which child processes would inherit.
    for each in _NUMBERS:
        signal.signal(each, _already_stopping)
    raise Interrupted(
        f"Stopped by {signal.Signals(number).name}.",
        action="Run the task again: it takes up what is complete and redoes the rest.",
    )


def _already_stopping(number: int, frame: FrameType | None) -> None:
    """Let the first signal's work end."""


@contextmanager
def signals_raise() -> Iterator[None]:
    """Raise Interrupted in the main thread on the first SIGTERM, SIGINT or SIGHUP.

    Without it SIGTERM ends the interpreter at once: leases would stay open in
    vCenter and child processes would outlive the task.
    """
    previous = {number: signal.signal(number, _interrupt) for number in _NUMBERS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
