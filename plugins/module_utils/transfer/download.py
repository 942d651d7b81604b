# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetch one file of a lease: whole, checked, and under its name only then."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..vmdk.header import VmdkError, WrongDisk
from .cancel import Cancellation
from .errors import DiskFull, TransferError
from .fanout import Sink, pump
from .http_body import Endpoint, open_body
from .progress import Progress
from .sinks import DigestSink, FileSink, VmdkCheckSink

# Tries for one file under one lease, and the seconds before each further one.
_PAUSES = (1.0, 3.0, 10.0, 30.0)


@dataclass(frozen=True)
class Download:
    """A file to fetch."""

    endpoint: Endpoint
    path: Path
    capacity: int | None
    """For a disk, its size in bytes: the stream is then checked as a VMDK of that disk."""


@dataclass(frozen=True)
class Fetched:
    """A file that is in place."""

    path: Path
    size: int
    checksum: str
    """In the form of the manifest: algorithm, colon, hexadecimal."""
    attempts: int


def fetch(
    download: Download,
    *,
    algorithm: str,
    progress: Progress,
    cancellation: Cancellation,
    warn: Callable[[str], None],
) -> Fetched:
    """Fetch a file, anew after a failure that may pass: NFC has no ranges, so never in parts.

    Args:
        download: What, from where, to where.
        algorithm: Of the digest, by hashlib's name.
        progress: Counts the bytes.
        cancellation: Ends the transfer and the pauses between tries.
        warn: Told about each failed try.

    Raises:
        TransferError: It failed each time.
        CertificateError: The server is not the one that the lease names; not tried again.
        WrongDisk: The stream holds a disk of another size; not tried again.
        DiskFull, OSError: The file can't be written; not tried again.
        Cancelled: The export was given up.
    """
    attempt = 1
    while True:
        try:
            return _fetch_once(download, algorithm, progress, cancellation, attempt)
        except WrongDisk:
            raise
        except (TransferError, VmdkError) as error:
            cancellation.check()
            if attempt > len(_PAUSES):
                raise TransferError(
                    f"{download.path.name} could not be fetched in {attempt} tries. "
                    f"The last one: {error.message}",
                    action=error.action,
                ) from error
            pause = max(_PAUSES[attempt - 1], float(error.details.get("retry_after", 0.0)))
            warn(f"{download.path.name}: {error.message} Trying again in {pause:g} seconds.")
            cancellation.sleep(pause)
            attempt += 1


def _fetch_once(
    download: Download,
    algorithm: str,
    progress: Progress,
    cancellation: Cancellation,
    attempt: int,
) -> Fetched:
    part = download.path.with_name(download.path.name + ".part")
    received = 0

    def count(size: int) -> None:
        nonlocal received
        cancellation.check()
        received += size
        progress.add(size)

    digest = DigestSink(algorithm)
    file = FileSink(part)
    complete = False
    try:
        sinks: list[Sink] = [file, digest]
        if download.capacity is not None:
            sinks.append(VmdkCheckSink(download.capacity, partial(progress.reach, part.name)))
        with open_body(download.endpoint, cancellation) as body:
            size = pump(body.read_into, sinks, count)
        os.replace(part, download.path)
        complete = True
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"The disk is full: {download.path.parent} has no room for {download.path.name}.",
                action="Make room there or name another directory, then run the task again.",
            ) from error
        raise
    finally:
        file.close()
        if not complete:
            progress.add(-received)
            part.unlink(missing_ok=True)
    return Fetched(download.path, size, f"{algorithm}:{digest.hexdigest()}", attempt)
