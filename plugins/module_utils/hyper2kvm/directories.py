# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directories of a conversion: made ready before it, cleared after it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from .disks import SourceDisk
from .errors import ConversionError
from .outputs import output_path
from .plan import Plan
from .working_copies import check_space, is_fresh, remove_working_copy

# How far a conversion is, in the directory of its results; hidden, since it is none of them.
PROGRESS_FILE = ".conversion-progress.json"


def scratch_directory(plan: Plan) -> Path:
    """Return where derived manifests, reports of single runs and temporary files are."""
    return plan.work / "scratch"


def prepare(plan: Plan) -> None:
    """Make the directories, and take away what an earlier run left of its results.

    A dry run makes no results, so the earlier ones stay.

    Raises:
        ConversionError: An exported disk would be replaced, or there is too little space.
    """
    clear_scratch(plan)
    for disk in plan.disks:
        if not is_fresh(plan.work, disk):
            remove_working_copy(plan.work, disk)
    for directory in (plan.work, plan.output_directory):
        directory.mkdir(parents=True, exist_ok=True)
    # The derived manifest may hold password hashes, temporary files parts of the guest.
    scratch_directory(plan).mkdir(mode=0o700)
    for path in (plan.log_path, plan.report_path):
        path.unlink(missing_ok=True)
    # What hyper2kvm prints quotes files of the guest.
    plan.log_path.touch(mode=0o600)
    if not plan.dry_run:
        plan.record_path.unlink(missing_ok=True)
        remove_outputs(plan)
    check_space(plan.disks, plan.work)


def clear_scratch(plan: Plan) -> None:
    """Remove what no run after this one needs."""
    shutil.rmtree(scratch_directory(plan), ignore_errors=True)


def remove_working_copies(plan: Plan, disks: Iterable[SourceDisk]) -> None:
    """Remove the working copies of *disks*, and their directory when nothing else is in it."""
    clear_scratch(plan)
    for disk in disks:
        remove_working_copy(plan.work, disk)
    try:
        plan.work.rmdir()
    except OSError:
        pass  # Something of the user's lies in it.


def remove_outputs(plan: Plan) -> None:
    """Remove converted disks, and what hyper2kvm has left of one that it was stopped at.

    Raises:
        ConversionError: One of them would be an exported disk.
    """
    for disk in plan.disks:
        result = output_path(plan.output_directory, disk.id, plan.target_format)
        if any(result == other.path for other in plan.disks):
            raise ConversionError(
                f"The converted disk would replace {result}, which is an exported one.",
                action="Give another output_dir.",
            )
        result.unlink(missing_ok=True)
        result.with_name(result.name + ".part").unlink(missing_ok=True)


def evidence(plan: Plan) -> tuple[Path, ...]:
    """Return the exported files: all that lie beside the manifest and beside the disks."""
    directories = {plan.request.manifest_path.parent, *(disk.path.parent for disk in plan.disks)}
    own = {plan.log_path, plan.report_path}
    return tuple(
        sorted(
            path
            for directory in directories
            for path in directory.iterdir()
            if path.is_file() and not path.is_symlink() and path not in own
        )
    )
