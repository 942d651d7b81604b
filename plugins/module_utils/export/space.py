# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is there room for an export? Asked before anything starts."""

from __future__ import annotations

import os
from pathlib import Path

from ..vsphere.facts import Vm
from .errors import ExportError
from .request import ExportRequest

_GIB = 1 << 30


def needed_bytes(vm: Vm, request: ExportRequest) -> int:
    """Return how much room an export may take, in bytes.

    vSphere knows how much of each disk is in use; how well that compresses nobody knows before.
    So this is what is in use, once for the files and once more for working copies; and the largest
    disk once more for an OVA, while it is moved in there.
    """
    used = [disk.used for disk in vm.disks]
    return sum(used) * (2 if request.working_copies else 1) + (max(used) if request.ova else 0)


def check_space(vm: Vm, request: ExportRequest) -> None:
    """Check that the directory's filesystem has room.

    Raises:
        ExportError: It has less than the export may take.
    """
    existing = next(
        path for path in (request.directory, *request.directory.parents) if path.exists()
    )
    needed, free = needed_bytes(vm, request), free_bytes(existing)
    if free < needed:
        raise ExportError(
            f"{existing} has {free / _GIB:.1f} GiB free, and the export of {vm.name} may take "
            f"{needed / _GIB:.1f} GiB.",
            action="Make room or name another directory; check_space: false tries it all the same.",
            free_bytes=free,
            needed_bytes=needed,
        )


def free_bytes(directory: Path) -> int:
    """Return what an unprivileged user may still write to a directory's filesystem, in bytes."""
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize
