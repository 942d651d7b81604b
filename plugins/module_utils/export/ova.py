# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pack an export into one OVA file (DSP0243, section 5.3): a tar archive in a fixed order.

The descriptor comes first, then the .mf, then the disks. Their sizes and digests are known only
when the disks are there, so the disks are fetched to files and then moved into the archive, each
removed as soon as it is in there: only one disk at a time takes its room twice.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, BinaryIO

from ..local_files import local
from .record import ExportedFile

_PIECE = 1 << 20  # bytes moved at a time
# The largest size that USTAR's 11 octal digits hold; beyond it, GNU's binary form, as ovftool does.
_USTAR_LIMIT = 8 << 30


class _DigestedFile:
    """A file that is only written, with the digest and the size of what was written."""

    def __init__(self, file: BinaryIO, algorithm: str) -> None:
        self._file = file
        self._digest = hashlib.new(algorithm)
        self.size = 0

    def write(self, data: bytes | memoryview) -> int:
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        self._file.flush()

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def pack(
    directory: Path,
    name: str,
    files: Sequence[ExportedFile],
    *,
    algorithm: str,
    compress: bool,
) -> ExportedFile:
    """Move files into an OVA, in this order, and return it; they are gone afterwards.

    Args:
        directory: Of the files and of the OVA.
        name: Of the OVA; it has it only when it is complete.
        files: Descriptor, .mf, then the rest in the descriptor's order.
        algorithm: Of the OVA's digest, by hashlib's name.
        compress: Whether the archive is compressed with gzip.

    Raises:
        LocalFileError: The archive can't be written.
    """
    part = directory / f"{name}.part"
    try:
        with local(directory / name), ExitStack() as stack:
            raw = stack.enter_context(part.open("wb"))
            os.chmod(part, 0o600)
            digested = _DigestedFile(raw, algorithm)
            archive: Any = digested
            if compress:
                # Level 1: stream-optimized disks are compressed already.
                archive = gzip.GzipFile("", "wb", 1, digested, mtime=0)
            for file in files:
                _move(directory / file.name, file, archive)
            archive.write(bytes(2 * tarfile.BLOCKSIZE))
            if compress:
                archive.close()
            raw.flush()
            os.fsync(raw.fileno())
            part.replace(directory / name)
    finally:
        with suppress(OSError):
            part.unlink()
    return ExportedFile(name, "ova", digested.size, f"{algorithm}:{digested.hexdigest()}")


def _move(source: Path, file: ExportedFile, archive: Any) -> None:
    archive.write(_header(file))
    buffer, left = memoryview(bytearray(_PIECE)), file.size
    with source.open("rb", buffering=0) as stream:
        while left:
            count = stream.readinto(buffer[: min(_PIECE, left)])
            if not count:
                raise OSError(f"{source} is shorter than it was")
            archive.write(buffer[:count])
            left -= count
    archive.write(bytes(-file.size % tarfile.BLOCKSIZE))
    source.unlink()


def _header(file: ExportedFile) -> bytes:
    member = tarfile.TarInfo(file.name)
    member.size = file.size
    member.mode = 0o644
    if file.size < _USTAR_LIMIT:
        return member.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")
