# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the domain's disks lie: left where they are, or moved or copied into a storage pool."""

from __future__ import annotations

import errno
import os
import pwd
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...sandbox.confinement import NONE
from ...sandbox.run import run
from ..machine import Disk
from .errors import DomainError
from .hypervisor import Pool
from .request import COPY, IN_PLACE, MOVE, Request

# A copy that is slower than this, in bytes a second, has stopped.
_SLOWEST = 1024 * 1024
_LEAST_TIME = 600.0


@dataclass(frozen=True)
class Placed:
    """A disk's way: its id in the manifest, the converted image, the domain's image."""

    id: str
    source: Path
    target: Path
    format: str
    boots: bool

    @property
    def disk(self) -> Disk:
        """The domain's disk."""
        return Disk(self.target, self.format)


def planned(
    disks: Sequence[Disk], boot_index: int, request: Request, pool: Pool | None
) -> tuple[Placed, ...]:
    """Return where each disk goes.

    Args:
        disks: The converted disks, which hyper2kvm_convert names by their ids.
        boot_index: Which of them the domain boots from.
        request: What is asked for.
        pool: The pool for move and copy.
    """
    placed = []
    for index, disk in enumerate(disks):
        target = disk.path
        if pool is not None and request.placement != IN_PLACE:
            target = pool.directory / f"{request.name}-{disk.path.name}"
        placed.append(
            Placed(disk.path.stem, disk.path, target, disk.format, boots=index == boot_index)
        )
    return tuple(placed)


def check(placed: Sequence[Placed], request: Request, pool: Pool | None) -> None:
    """Raise DomainError when a disk can't go where it shall, before any has gone."""
    if request.placement == IN_PLACE or pool is None:
        return
    for disk in placed:
        if disk.target.exists():
            raise DomainError(
                f"{disk.target} exists already, and is not this VM's.",
                action="Remove it if nothing needs it, or give the domain another name.",
            )
    needed = sum(
        disk.source.stat().st_blocks * 512
        for disk in placed
        if request.placement == COPY or not _same_filesystem(disk.source, pool.directory)
    )
    if needed > pool.available:
        raise DomainError(
            f"The storage pool {pool.name} has {pool.available} bytes left, and the disks need {needed}."
        )


def check_reachable(placed: Sequence[Placed], user: int | None) -> None:
    """Raise DomainError when QEMU's user can't get at an image, libvirt sees to the image itself alone.

    Args:
        placed: The disks.
        user: Whom QEMU runs as; 0 and None reach everything.
    """
    if not user:
        return
    groups = _groups_of(user)
    for disk in placed:
        for directory in disk.target.parents:
            status = directory.stat()
            allowed = stat.S_IXGRP if status.st_gid in groups else stat.S_IXOTH
            if status.st_uid == user:
                allowed = stat.S_IXUSR
            if not status.st_mode & allowed and not _has_acl(directory):
                raise DomainError(
                    f"QEMU runs as user {user} and can't reach {disk.target}: {directory} has mode"
                    f" {stat.S_IMODE(status.st_mode):04o}.",
                    action=f"Place the disks in a storage pool, or allow it: setfacl -m u:{user}:x {directory}.",
                )


def place(disk: Placed, placement: str) -> None:
    """Bring one disk to its place; what is there already is left.

    Raises:
        DomainError: It can't be moved or copied; the source is then still there.
    """
    if placement == IN_PLACE or disk.target == disk.source:
        return
    if disk.target.exists() and (placement == COPY or not disk.source.exists()):
        return
    if placement == MOVE:
        _move(disk.source, disk.target)
    else:
        _copy(disk.source, disk.target)


def take_back(disk: Placed, placement: str) -> bool:
    """Undo place(); return whether anything had to be done.

    Raises:
        DomainError: The converted image's old place is taken.
    """
    if placement == IN_PLACE or disk.target == disk.source or not disk.target.exists():
        return False
    if placement == COPY:
        disk.target.unlink()
        return True
    if disk.source.exists():
        raise DomainError(
            f"{disk.target} can't go back to {disk.source}: there is another file.",
            action="Move one of the two away.",
        )
    disk.source.parent.mkdir(parents=True, exist_ok=True)
    _move(disk.target, disk.source)
    return True


def as_records(placed: Sequence[Placed]) -> list[dict[str, object]]:
    """Return the disks as JSON takes them."""
    return [
        {
            "id": disk.id,
            "source": str(disk.source),
            "path": str(disk.target),
            "format": disk.format,
            "boots": disk.boots,
        }
        for disk in placed
    ]


def _move(source: Path, target: Path) -> None:
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise DomainError(f"{source} can't be moved to {target}: {error.strerror}.") from error
        _copy(source, target)
        source.unlink()


def _copy(source: Path, target: Path) -> None:
    """Copy an image sparsely, whole or not at all."""
    part = target.with_name(f".{target.name}.part")
    size = source.stat().st_size
    argv = ["cp", "--reflink=auto", "--sparse=always", "--", str(source), str(part)]
    try:
        completed = run(argv, timeout=max(_LEAST_TIME, size / _SLOWEST), isolation=NONE)
        if not completed.ok:
            said = "; ".join(line for line in completed.tail[-3:] if line.strip())
            raise DomainError(
                f"{source} can't be copied to {target}: {said or 'no answer in time'}."
            )
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, target)
    except OSError as error:
        raise DomainError(f"{source} can't be copied to {target}: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)


def _same_filesystem(first: Path, second: Path) -> bool:
    return first.stat().st_dev == second.stat().st_dev


def _groups_of(user: int) -> Sequence[int]:
    """Return the groups of a user, which libvirt gives to QEMU too."""
    try:
        entry = pwd.getpwuid(user)
    except KeyError:
        return ()
    return os.getgrouplist(entry.pw_name, entry.pw_gid)


def _has_acl(path: Path) -> bool:
    """Return whether a directory has an access control list, which may allow what its mode does not."""
    try:
        return "system.posix_acl_access" in os.listxattr(path)
    except OSError:
        return False
