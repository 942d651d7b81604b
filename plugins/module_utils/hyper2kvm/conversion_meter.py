# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far qemu-img is with one disk, by what it has read of it.

What hyper2kvm 0.2.1 prints is the size of the unfinished image against the disk's capacity: a
disk that is half empty and compresses well ends at a few percent, and no time left can be told
from that. A raw copy is read from its beginning to its end, but for its holes.
"""

from __future__ import annotations

from pathlib import Path

from .working_copies import WorkingCopy


class ConversionMeter:
    """Follows the conversion of one working copy.

    Args:
        copied: What is converted.
    """

    def __init__(self, copied: WorkingCopy) -> None:
        self._path = str(copied.path).encode()
        # st_blocks counts 512 bytes each, whatever the file system's block size is.
        self._allocated = copied.path.stat().st_blocks * 512
        self._process: Path | None = None

    def bytes_read(self) -> int | None:
        """Return how much of the copy has been read; None while nothing converts it."""
        if self._process is None:
            self._process = self._find()
        if self._process is None:
            return None
        try:
            # rchar: what read() and its kin returned (proc(5)).
            text = (self._process / "io").read_text("ascii")
            return int(text.split("rchar:", 1)[1].split(None, 1)[0])
        except (OSError, ValueError, IndexError):
            self._process = None
            return None

    def percent(self, read: int) -> float:
        """Return how much of what the copy holds that is, 0 to 100."""
        return min(100.0, 100.0 * read / self._allocated) if self._allocated else 100.0

    def _find(self) -> Path | None:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if arguments[:2] == [b"qemu-img", b"convert"] and self._path in arguments:
                return process
        return None
