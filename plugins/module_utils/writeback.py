# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Have the kernel write a file to its disk while more of it is still to come.

Left alone, Linux keeps gigabytes of a new file in memory, and fsync at its end waits for all of
them: seconds in which nothing is received. POSIX_FADV_DONTNEED starts writing a range and does not
wait (mm/fadvise.c). The pages stay in memory, since those that are being written are not dropped.
"""

from __future__ import annotations

import os
from contextlib import suppress

# Bytes: large enough that asking costs nothing, small enough that little is left at the end.
_RANGE = 1 << 25


class Writeback:
    """Starts writing what is complete of a file.

    Args:
        file: Descriptor of the file.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._started = 0

    def reached(self, end: int) -> None:
        """Note that the file is complete up to *end*, in bytes."""
        length = end - self._started
        if length >= _RANGE:
            # A wish, which a filesystem need not grant, and which not every system knows.
            with suppress(OSError, AttributeError):
                os.posix_fadvise(self._file, self._started, length, os.POSIX_FADV_DONTNEED)
            self._started = end
