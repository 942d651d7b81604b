# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directory of an export: made, held by one export at a time, free of leftovers."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..local_files import local
from .errors import ExportError

_LOCK = ".export.lock"
# How far an export is; hidden, since it is nothing that belongs to the export.
PROGRESS_FILE = ".export-progress.json"
# Where the raw images are.
WORKING_COPIES = "work"


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Make the directory, hold it, and take away what an export that was killed left in it.

    Raises:
        ExportError: Another export holds it, or it can't be made.
    """
    try:
        # Disks hold whatever the VM held: for nobody else's eyes.
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ExportError(
            f"The directory {directory} can't be used: {error.strerror}.",
            action="dest must name a directory that can be made and written.",
        ) from error
    try:
        try:
            # The kernel gives the lock back when its holder dies, however it dies.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ExportError(
                f"Another export into {directory} is running.",
                action="Wait for it to end, or name another directory.",
            ) from None
        _drop_partial(directory)
        yield
    finally:
        os.close(lock)


def drop_partial_copies(directory: Path) -> None:
    """Take away the working copies that an export that was killed left unfinished.

    Raises:
        LocalFileError: One can't be removed.
    """
    _drop_partial(directory / WORKING_COPIES)


def _drop_partial(directory: Path) -> None:
    for leftover in directory.glob("*.part"):
        with local(leftover):
            leftover.unlink()
