# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""SHA-256 of files, several at a time, in constant memory."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .findings import ManifestError

PIECE = 1024 * 1024

#: Called with the bytes read so far and those to read in all, of all files.
Progress = Callable[[int, int], None]


def sha256_files(
    paths: Sequence[Path], *, on_progress: Progress | None = None
) -> Mapping[Path, str]:
    """Return "sha256:<hex>" of each file.

    hashlib and reading release the interpreter's lock, so threads use all cores.

    Raises:
        ManifestError: A file can't be read.
    """
    distinct = list(dict.fromkeys(paths))
    total = sum(path.stat().st_size for path in distinct if path.exists())
    done = 0
    lock = threading.Lock()
    stop = threading.Event()

    def count(length: int) -> None:
        nonlocal done
        with lock:
            done += length
            if on_progress is not None:
                on_progress(done, total)

    with ThreadPoolExecutor(max_workers=max(1, min(len(distinct), os.cpu_count() or 1))) as pool:
        futures = {path: pool.submit(_sha256, path, count, stop) for path in distinct}
        try:
            return {path: future.result() for path, future in futures.items()}
        except BaseException:
            # An interrupt ends the threads at their next piece, not after hours.
            stop.set()
            raise


def _sha256(path: Path, count: Callable[[int], None], stop: threading.Event) -> str:
    digest = hashlib.sha256()
    buffer = bytearray(PIECE)
    view = memoryview(buffer)
    try:
        with open(path, "rb", buffering=0) as file:
            while not stop.is_set():
                length = file.readinto(buffer)
                if not length:
                    return f"sha256:{digest.hexdigest()}"
                digest.update(view[:length])
                count(length)
    except OSError as error:
        raise ManifestError(f"The disk {path} can't be read: {error.strerror or error}.") from error
    raise ManifestError(f"The checksum of {path} was given up.")
