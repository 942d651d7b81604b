# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests build once and keep: guests, the simulator's program, large disks.

The cache lies outside the checkout, in $HYPER2KVM_TEST_CACHE, else in
hypersdk-hyper2kvm below $XDG_CACHE_HOME or ~/.cache. An entry is a directory
named by a digest of all that it was made from, so it never goes stale; it
appears whole, by a rename, or not at all.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Union

Input = Union[str, bytes, Path]


def cache_dir(*parts: str) -> Path:
    """Return a directory of the cache, made if it was missing."""
    root = os.environ.get("HYPER2KVM_TEST_CACHE")
    if not root:
        home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        root = str(Path(home) / "hypersdk-hyper2kvm")
    directory = Path(root).absolute().joinpath(*parts)
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def keyed(name: str, *inputs: Input) -> Path:
    """Return the place of what is made from these inputs; it may not exist yet.

    Args:
        name: What it is, as the beginning of the directory's name.
        inputs: Text and bytes count as they are, a path as the contents of
            that file or of all files below that directory.
    """
    digest = hashlib.sha256()
    for value in inputs:
        for part in _parts(value):
            digest.update(b"%d:" % len(part) + part)
    return cache_dir() / f"{name}-{digest.hexdigest()[:16]}"


def built(place: Path, build: Callable[[Path], None]) -> Path:
    """Return a directory of the cache, built first if it is not there.

    Builders of the same place wait for each other. What an interrupted one
    left is removed by the next.

    Args:
        place: As keyed() returned it.
        build: Called with a new directory beside it, to be filled.
    """
    with (cache_dir("locks") / place.name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if place.is_dir():
            return place
        prefix = f".{place.name}.building-"
        for stale in place.parent.glob(f"{prefix}*"):
            shutil.rmtree(stale)
        work = Path(tempfile.mkdtemp(prefix=prefix, dir=place.parent))
        try:
            build(work)
            work.chmod(0o755)
            work.rename(place)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
    return place


def _parts(value: Input) -> list[bytes]:
    if isinstance(value, bytes):
        return [value]
    if isinstance(value, str):
        return [value.encode()]
    if value.is_file():
        return [value.read_bytes()]
    files = sorted(
        path for path in value.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
    named = [(str(path.relative_to(value)).encode(), path.read_bytes()) for path in files]
    return [part for pair in named for part in pair]
