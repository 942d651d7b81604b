# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell what is wrong with a file on this machine, so that nobody looks for it in the network."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import Hyper2KvmError


class LocalFileError(Hyper2KvmError):
    """A file or directory on this machine can't be written or read."""


def local_error(error: OSError, path: Path) -> LocalFileError:
    """Return what to tell the user of an error of the operating system.

    Args:
        error: What the operating system said.
        path: The file that is meant where the error names none.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return LocalFileError(
            f"The disk is full: {path.parent} has no room for {path.name}.",
            action="Make room there or name another directory, then run the task again.",
        )
    # A rename names its source first, a file that the user doesn't know.
    name = error.filename2 or error.filename or path
    return LocalFileError(
        f"{name} can't be used: {error.strerror or error}.",
        action="Look at what is there, its permissions and its filesystem, then run the task again.",
    )


@contextmanager
def local(path: Path) -> Iterator[None]:
    """Raise LocalFileError for an OSError of the block, which works on files here only.

    Args:
        path: The file that it is about.
    """
    try:
        yield
    except OSError as error:
        raise local_error(error, path) from error
