# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disposable raw copies of the exported disks, which hyper2kvm may write.

FIX needs a disk that can be written in place; a stream-optimized VMDK is not,
and hyper2kvm says success without having changed it. The exported files are
only read here.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..vmdk.decode import decode_file
from ..vmdk.header import FLAG_COMPRESSED, MAGIC
from ..vmdk.working_copy import forget_copy, is_fresh_copy
from .disks import SourceDisk
from .errors import ConversionError
from .images import QemuImg


@dataclass(frozen=True)
class WorkingCopy:
    """A raw copy of one disk.

    Attributes:
        disk: What it is a copy of.
        path: The raw image, sparse.
        capacity: The disk's size as a guest sees it, in bytes.
    """

    disk: SourceDisk
    path: Path
    capacity: int


@dataclass(frozen=True)
class WriteMark:
    """Tells whether a file was written since the mark was taken.

    A file's mtime moves with every write, whoever makes it, and the copy has one
    owner; so an equal mark proves that FIX wrote nothing, and costs nothing on a
    disk of a terabyte. A digest would prove no more the other way round: mounting
    a filesystem alone changes its superblock. That the *right* things were written
    is for the log, the guest's examination and the boot check to show.
    """

    modified_ns: int
    size: int

    @classmethod
    def of(cls, path: Path) -> WriteMark:
        """Take the mark of a file."""
        status = path.stat()
        # Not its blocks: a filesystem may allocate them long after they were written.
        return cls(status.st_mtime_ns, status.st_size)


def copy_path(work: Path, disk: SourceDisk) -> Path:
    """Return where the working copy of *disk* lies."""
    return work / f"{disk.id}.raw"


def is_fresh(work: Path, disk: SourceDisk) -> bool:
    """Tell whether the export left a working copy of this very disk that nobody has written."""
    return bool(disk.checksum) and is_fresh_copy(copy_path(work, disk), disk.checksum)


def fresh_copy(work: Path, disk: SourceDisk) -> WorkingCopy | None:
    """Return the copy that the export left, which nobody may write, or None when there is none."""
    if not is_fresh(work, disk):
        return None
    path = copy_path(work, disk)
    return WorkingCopy(disk, path, path.stat().st_size)


def remove_working_copy(work: Path, disk: SourceDisk) -> None:
    """Remove a working copy, if there is one, and its note."""
    forget_copy(copy_path(work, disk))
    copy_path(work, disk).unlink(missing_ok=True)


def make_working_copy(
    disk: SourceDisk,
    work: Path,
    qemu_img: QemuImg,
    timeout: float,
    cancelled: threading.Event | None = None,
) -> WorkingCopy:
    """Decode one exported disk to a sparse raw image, unless the export has done so.

    The copy loses its note of being fresh: what comes next may write it.

    Args:
        disk: The exported disk.
        work: Directory of the copies.
        qemu_img: Decodes what is not a stream-optimized VMDK.
        timeout: Seconds that qemu-img may take.
        cancelled: Ends the decoding when it is set.

    Raises:
        VmdkError: The exported VMDK is damaged.
        ConversionError: It can't be decoded, or the disk is full.
    """
    target = copy_path(work, disk)
    if is_fresh(work, disk):
        forget_copy(target)
        return WorkingCopy(disk, target, target.stat().st_size)
    remove_working_copy(work, disk)
    try:
        if disk.format == "vmdk" and _is_stream_optimized(disk.path):
            capacity = decode_file(
                disk.path, target, on_progress=lambda _done, _total: _stop_when(cancelled)
            )
        else:
            capacity = qemu_img.virtual_size(disk.path, disk.format)
            qemu_img.convert_to_raw(disk.path, disk.format, target, timeout)
    except OSError as error:
        raise ConversionError(
            f"The working copy {target} of {disk.path} could not be written: {error.strerror}.",
            action="Free space on that filesystem, or choose another directory.",
        ) from error
    return WorkingCopy(disk, target, capacity)


def check_space(disks: Iterable[SourceDisk], directory: Path) -> None:
    """Raise ConversionError when the copies and the outputs can't fit in *directory*.

    How much a compressed disk takes is known only once it is decoded; it is never
    less than the exported file, for the copy and about as much for the output.
    """
    needed = sum(_stored(disk.path) * (1 if is_fresh(directory, disk) else 2) for disk in disks)
    status = os.statvfs(directory)
    free = status.f_bavail * status.f_frsize
    if free < needed:
        raise ConversionError(
            f"{directory} has {free} bytes free; the working copies and the converted disks"
            f" take at least {needed}.",
            action="Free space on that filesystem, or choose another directory.",
            free_bytes=free,
            needed_bytes=needed,
        )


def _stored(path: Path) -> int:
    """Return what a file takes on its filesystem, which is less than its size when it has holes."""
    status = path.stat()
    return min(status.st_size, status.st_blocks * 512)


def _stop_when(cancelled: threading.Event | None) -> None:
    if cancelled is not None and cancelled.is_set():
        raise ConversionError("The decoding was cancelled.")


def _is_stream_optimized(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(12)
    return head[:4] == MAGIC and bool(int.from_bytes(head[8:12], "little") & FLAG_COMPRESSED)
