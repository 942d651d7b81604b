# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Digests of files, several files at a time, each read once, in constant memory."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from ..progress_file import State, progress_written
from .findings import ManifestError

PIECE = 1024 * 1024

#: Called with the bytes read so far and those to read in all, of all files.
Progress = Callable[[int, int], None]
#: Gets every piece of a file in turn, in the thread that reads it.
Watcher = Callable[[memoryview], None]


@contextmanager
def progress_shown(path: Path, stage: str) -> Iterator[Progress]:
    """Yield what to call while files are read; how far that is, is written to a file meanwhile.

    Args:
        path: The file, as progress_file writes it.
        stage: What the files are read for, in a word or two.
    """
    seen = (0, 0)

    def note(done: int, total: int) -> None:
        nonlocal seen
        seen = done, total

    def look() -> State:
        done, total = seen
        return State(stage, 100 * done / total if total else None, done)

    with progress_written(path, look):
        yield note


def sha256_files(
    paths: Sequence[Path], *, on_progress: Progress | None = None
) -> Mapping[Path, str]:
    """Return "sha256:<hex>" of each file.

    Raises:
        ManifestError: A file can't be read.
    """
    digests = read_files(dict.fromkeys(paths, ("sha256",)), on_progress=on_progress)
    return {path: f"sha256:{values['sha256']}" for path, values in digests.items()}


def read_files(
    algorithms: Mapping[Path, Sequence[str]],
    *,
    watchers: Mapping[Path, Watcher] | None = None,
    on_progress: Progress | None = None,
) -> Mapping[Path, Mapping[str, str]]:
    """Read each file once and return its hexadecimal digests by algorithm.

    hashlib and reading release the interpreter's lock, so threads use all cores.

    Args:
        algorithms: hashlib's names of the digests wanted of each file.
        watchers: Who else sees a file's content.
        on_progress: Called after every piece.

    Raises:
        ManifestError: A file can't be read.
    """
    total = sum(path.stat().st_size for path in algorithms if path.exists())
    done = 0
    lock = threading.Lock()
    stop = threading.Event()

    def count(length: int) -> None:
        nonlocal done
        with lock:
            done += length
            if on_progress is not None:
                on_progress(done, total)

    def read(path: Path) -> Mapping[str, str]:
        watcher = (watchers or {}).get(path)
        return _read(path, algorithms[path], watcher, count, stop)

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        futures = {path: pool.submit(read, path) for path in algorithms}
        try:
            return {path: future.result() for path, future in futures.items()}
        except BaseException:
            # An interrupt ends the threads at their next piece, not after hours.
            stop.set()
            raise


def _read(
    path: Path,
    algorithms: Sequence[str],
    watcher: Watcher | None,
    count: Callable[[int], None],
    stop: threading.Event,
) -> Mapping[str, str]:
    digests = [hashlib.new(algorithm) for algorithm in algorithms]
    view = memoryview(bytearray(PIECE))
    try:
        with open(path, "rb", buffering=0) as file:
            while not stop.is_set():
                length = file.readinto(view)
                if not length:
                    values = [digest.hexdigest() for digest in digests]
                    return dict(zip(algorithms, values))
                piece = view[:length]
                for digest in digests:
                    digest.update(piece)
                if watcher is not None:
                    watcher(piece)
                count(length)
    except OSError as error:
        raise ManifestError(
            f"The file {path} can't be read: {error.strerror or error}.",
            action="Let the user that runs this read it.",
        ) from error
    raise ManifestError(f"Reading {path} was given up.")
