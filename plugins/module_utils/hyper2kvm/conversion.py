# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a manifest to converted disks that can be believed.

Working copies → FIX on the boot disk's → the guest examined and repaired → CONVERT and
VALIDATE → our own look at the outputs. FIX and the rest are two runs of hyper2kvm, so
that what FIX did can be judged before anything is built on it. While FIX runs, which
uses one processor, the exported guest is read, and data disks that its system is not on
are decoded, converted by a run of their own, and compared.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

from ..errors import Hyper2KvmError
from ..guest.session import Reading
from ..progress_file import progress_written
from .directories import PROGRESS_FILE, prepare, remove_outputs, remove_working_copies
from .disks import SourceDisk, boot_disk
from .errors import ConversionError
from .plan import Plan
from .queue import Job
from .record import Output, save_record
from .report import merge_reports, stages_of
from .steps import Steps
from .working_copies import WorkingCopy, is_fresh

_Made = TypeVar("_Made")


def convert(plan: Plan) -> dict[str, Any]:
    """Convert a VM's disks and return the module's result; how far it is stands in a file meanwhile.

    Args:
        plan: See make_plan().

    Raises:
        Hyper2KvmError: It failed, or its success can't be believed. Where the working copies were
            kept, it says so.
    """
    began = time.monotonic()
    plan.installation.check_imports()
    Job.refuse_active(plan.job_note)
    # A dry run leaves what the export has decoded to the conversion that follows.
    disposable = [disk for disk in plan.disks if not (plan.dry_run and is_fresh(plan.work, disk))]
    keep = "convert" not in plan.stages and not plan.dry_run
    try:
        return _convert(plan, began)
    except Hyper2KvmError as error:
        # A daemon at work can't be stopped from here, whatever stopped this.
        still_written = plan.job_note.exists()
        if plan.request.keep_on_failure or still_written:
            keep = True
            error.details["kept"] = str(plan.work)
            error.action = f"{error.action} The working copies are kept in {plan.work}.".lstrip()
        elif not plan.dry_run:
            # Nobody shall take for converted what was not found to be.
            with suppress(ConversionError):
                remove_outputs(plan)
        raise
    finally:
        if not keep and not plan.job_note.exists():
            remove_working_copies(plan, disposable)


def _convert(plan: Plan, began: float) -> dict[str, Any]:
    try:
        prepare(plan)
        steps = Steps(plan, began)
        with progress_written(plan.output_directory / PROGRESS_FILE, steps.look):
            return _rehearse(plan, steps) if plan.dry_run else _run(plan, steps)
    except OSError as error:
        raise ConversionError(
            f"{error.filename or plan.output_directory} can't be used: {error.strerror or error}.",
            action="Look at its permissions and at the free space of its filesystem.",
        ) from error


def _rehearse(plan: Plan, steps: Steps) -> dict[str, Any]:
    with steps.timed("fix"):
        steps.rehearse(boot_disk(plan.disks))
    return _result(plan, steps, plan.stages_with_fix)


def _run(plan: Plan, steps: Steps) -> dict[str, Any]:
    boot = boot_disk(plan.disks)
    with steps.timed("working_copies"):
        boot_copy = steps.copy(boot)
    fixing = "fix" in plan.stages
    reading: Reading | None = None
    with _beside() as start:
        to_read = start(steps.read_guest) if fixing else None
        data_disks = start(partial(_work_on_data_disks, plan, steps, boot, to_read))
        if to_read is not None:
            with steps.timed("fix"):
                steps.fix(boot_copy, to_read.result)
            with steps.timed("guest_read"):
                reading = to_read.result()
        with steps.timed("data_disks"):
            data = data_disks.result()
    copies = [boot_copy if disk is boot else data.copies[disk.id] for disk in plan.disks]
    more: dict[str, Any] = {}
    touched: set[str] = set()
    if reading is not None:
        with steps.timed("guest_repair"):
            more = steps.repair_guest(copies, reading).result()
        touched = {boot.id, *_disks_of_system(plan, reading)}
    left = [copied for copied in copies if copied.disk.id not in data.outputs]
    if plan.rest:
        with steps.timed("convert"):
            steps.convert(left, plan.rest)
    outputs = data.outputs
    if "convert" in plan.stages:
        steps.enter("comparing the result")
        with steps.timed("verify"):
            made = steps.verify([(copied, copied.disk.id in touched) for copied in left])
        outputs = {**outputs, **{output.id: output for output in made}}
    took = more["guest"]["seconds"] if more else {}
    result = {
        **_result(plan, steps, plan.stages),
        "overhead": steps.overhead(took),
        **more,
    }
    ordered = [outputs[disk.id] for disk in plan.disks if disk.id in outputs]
    if ordered:
        save_record(plan.record_path, plan.fingerprint, ordered, result)
    return {**result, "outputs": [asdict(output) for output in ordered]}


def _result(plan: Plan, steps: Steps, stages: Sequence[str]) -> dict[str, Any]:
    results = stages_of(merge_reports(steps.reports))
    return {
        **plan.expected_result(),
        "stages": {stage: asdict(results[stage]) for stage in stages},
        "durations": {name: round(spent, 2) for name, spent in steps.durations.items()},
    }


@dataclass(frozen=True)
class _DataDisks:
    """The copies of the disks that FIX does not touch, and those that are converted already."""

    copies: dict[str, WorkingCopy]
    outputs: dict[str, Output]


def _work_on_data_disks(
    plan: Plan,
    steps: Steps,
    boot: SourceDisk,
    to_read: Future[Reading] | None,
    cancelled: threading.Event,
) -> _DataDisks:
    """Have the data disks decoded and, where FIX leaves the time, converted as well."""
    copies = [steps.copy(disk, cancelled) for disk in plan.disks if disk is not boot]
    outputs: list[Output] = []
    if copies and to_read is not None and "convert" in plan.stages:
        # A system that is on several disks is repaired on all of them, after FIX.
        system = _disks_of_system(plan, to_read.result())
        free = [copied for copied in copies if copied.disk.id not in system]
        if free and not cancelled.is_set():
            stages = [stage for stage in plan.rest if stage in ("convert", "validate")]
            outputs = steps.convert_beside(free, stages, cancelled)
    return _DataDisks(
        {copied.disk.id: copied for copied in copies},
        {output.id: output for output in outputs},
    )


def _disks_of_system(plan: Plan, reading: Reading) -> set[str]:
    return {plan.disks[number].id for number in reading.disks}


@contextmanager
def _beside() -> Iterator[Callable[[Callable[[threading.Event], _Made]], Future[_Made]]]:
    """Yield what has a task done in a thread of its own meanwhile.

    When the with block ends, for whatever reason, the event that each task gets is set, and
    all of them are waited for.
    """
    cancelled = threading.Event()

    def start(task: Callable[[threading.Event], _Made]) -> Future[_Made]:
        return executor.submit(task, cancelled)

    with ThreadPoolExecutor(max_workers=2) as executor:
        try:
            yield start
        finally:
            cancelled.set()
