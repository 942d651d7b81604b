# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is there room for an export? Asked before anything starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..vmdk.working_copy import is_fresh_copy
from ..vsphere.facts import Vm
from . import names
from .errors import ExportError
from .fetching import working_copy_of
from .record import ExportedFile
from .request import ExportRequest

_GIB = 1 << 30


def needed_bytes(vm: Vm, request: ExportRequest, kept: Mapping[str, ExportedFile]) -> int:
    """Return how much more room an export may take, in bytes.

    vSphere knows how much of each disk is in use; how well that compresses nobody knows before.
    So this is what is in use, once for the files and once more for working copies; and the largest
    disk once more for an OVA, while it is moved in there. Of a disk that is kept the size is known,
    and its room is taken already.

    Args:
        vm: The VM.
        request: Where to, and how.
        kept: Disks that are there already, by name.
    """
    needed = largest = 0
    for index, disk in enumerate(vm.disks):
        file = kept.get(names.disk_name(vm, index))
        largest = max(largest, file.size if file else disk.used)
        if file is None:
            needed += disk.used
        if request.working_copies and not (
            file and is_fresh_copy(working_copy_of(request, index), file.checksum)
        ):
            needed += disk.used
    return needed + (largest if request.ova else 0)


def check_space(vm: Vm, request: ExportRequest, kept: Mapping[str, ExportedFile]) -> None:
    """Check that the directory's filesystem has room.

    Args:
        vm: The VM.
        request: Where to, and how.
        kept: Disks that are there already, by name.

    Raises:
        ExportError: It has less than the export may take.
    """
    existing = next(
        path for path in (request.directory, *request.directory.parents) if path.exists()
    )
    needed, free = needed_bytes(vm, request, kept), free_bytes(existing)
    if free < needed:
        raise ExportError(
            f"{existing} has {free / _GIB:.1f} GiB free, and the export of {vm.name} may take "
            f"{needed / _GIB:.1f} GiB more.",
            action="Make room or name another directory; check_space: false tries it all the same.",
            free_bytes=free,
            needed_bytes=needed,
        )


def free_bytes(directory: Path) -> int:
    """Return what an unprivileged user may still write to a directory's filesystem, in bytes."""
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize
