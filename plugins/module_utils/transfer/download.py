# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetch one file of a lease: whole, checked, and under its name only then."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..local_files import local_error
from ..vmdk.header import VmdkError, WrongDisk
from ..vmdk.working_copy import forget_copy, note_copy
from .cancel import Cancellation
from .errors import TransferError
from .http_body import Endpoint, open_body
from .pace import Pace
from .progress import Progress
from .pump import Sink, pump
from .sinks import DigestSink, FileSink, RawImageSink, VmdkCheckSink

# Seconds before each further try for one file under one lease.
_PAUSES = (1.0, 3.0, 10.0, 30.0)


@dataclass(frozen=True)
class Download:
    """A file to fetch."""

    endpoint: Endpoint
    path: Path
    capacity: int | None = None
    """For a disk, its size in bytes: the stream is then checked as a VMDK of that disk."""
    working_copy: Path | None = None
    """For a disk, a raw image of it, written in the same pass."""


@dataclass(frozen=True)
class Fetched:
    """A file that is in place; size in bytes."""

    size: int
    checksum: str
    """In the form of the manifest: algorithm, colon, hexadecimal."""


@dataclass(frozen=True)
class Conditions:
    """What the transfers of one export share."""

    algorithm: str
    """Of the digests, by hashlib's name."""
    progress: Progress
    pace: Pace
    cancellation: Cancellation
    decoders: int
    """Threads that decompress, for each disk with a working copy."""
    warn: Callable[[str], None]
    """Told about each failed try."""


def fetch(download: Download, conditions: Conditions) -> Fetched:
    """Fetch a file, anew after a failure that may pass: NFC has no ranges, so never in parts.

    Raises:
        TransferError: It failed each time.
        CertificateError: The server is not the one that the lease names; not tried again.
        WrongDisk: The stream holds a disk of another size; not tried again.
        LocalFileError: A file can't be written; not tried again.
        Cancelled: The export was given up.
    """
    attempt = 1
    while True:
        try:
            return _fetch_once(download, conditions)
        except WrongDisk:
            raise
        except (TransferError, VmdkError) as error:
            conditions.cancellation.check()
            if attempt > len(_PAUSES):
                raise TransferError(
                    f"{download.path.name} could not be fetched in {attempt} tries. "
                    f"The last one: {error.message}",
                    action=error.action,
                ) from error
            pause = max(_PAUSES[attempt - 1], float(error.details.get("retry_after", 0.0)))
            conditions.warn(
                f"{download.path.name}: {error.message} Trying again in {pause:g} seconds."
            )
            conditions.cancellation.sleep(pause)
            attempt += 1


def _fetch_once(download: Download, conditions: Conditions) -> Fetched:
    part = _part_of(download.path)
    copy, copy_part = download.working_copy, None
    if copy is not None:
        copy_part = _part_of(copy)
        forget_copy(copy)
    received = 0

    def count(size: int) -> None:
        nonlocal received
        conditions.cancellation.check()
        received += size
        conditions.progress.add(size)
        conditions.pace.take(size, conditions.cancellation)

    complete = False
    try:
        with ExitStack() as stack:
            digest = DigestSink(conditions.algorithm)
            sinks: list[Sink] = [FileSink(part), digest]
            reach = partial(conditions.progress.reach, download.path.name)
            if download.capacity is not None and copy_part is not None:
                sinks.append(RawImageSink(copy_part, download.capacity, conditions.decoders, reach))
            elif download.capacity is not None:
                sinks.append(VmdkCheckSink(download.capacity, reach))
            for sink in sinks:
                stack.enter_context(closing(sink))
            body = stack.enter_context(open_body(download.endpoint, conditions.cancellation))
            size = pump(body.read_into, sinks, count)
        checksum = f"{conditions.algorithm}:{digest.hexdigest()}"
        if copy is not None and copy_part is not None:
            os.replace(copy_part, copy)
            note_copy(copy, checksum)
        os.replace(part, download.path)
        complete = True
    except OSError as error:
        # The network's have become TransferErrors.
        raise local_error(error, download.path) from error
    finally:
        if not complete:
            conditions.progress.add(-received)
            part.unlink(missing_ok=True)
            if copy_part is not None:
                copy_part.unlink(missing_ok=True)
    return Fetched(size, checksum)


def _part_of(path: Path) -> Path:
    return path.with_name(path.name + ".part")
