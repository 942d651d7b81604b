# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a manifest to converted disks that can be believed.

Working copies → FIX on the boot disk's → the guest examined and repaired → CONVERT and
VALIDATE of all → our own look at the outputs. FIX and the rest are two runs of
hyper2kvm, so that what FIX did can be judged before anything is built on it; the
data disks are decoded and the exported guest is read while FIX runs.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ..guest.session import Reading, Repaired
from ..progress_file import State, progress_written
from ..sandbox.kvm_device import kvm_works
from .derived_manifest import derive
from .disks import SourceDisk, boot_disk
from .errors import ConversionError
from .guest import examined_disks, exported_disks, guest_session
from .images import QemuImg
from .log import Progress
from .outputs import output_path, verify_output
from .plan import Plan
from .record import Output, save_record
from .report import merge_reports, stages_of
from .run import Workplace, run_hyper2kvm
from .verdict import judge_fix, judge_guest
from .working_copies import (
    WorkingCopy,
    WriteMark,
    check_space,
    is_fresh,
    make_working_copy,
    remove_working_copy,
)

_Made = TypeVar("_Made")


def convert(plan: Plan) -> dict[str, Any]:
    """Convert a VM's disks and return the module's result; how far it is stands in a file meanwhile.

    Args:
        plan: See make_plan().

    Raises:
        Hyper2KvmError: It failed, or its success can't be believed.
    """
    plan.installation.check_imports()
    try:
        _prepare(plan)
        conversion = _Conversion(plan)
        with progress_written(plan.output_directory / PROGRESS_FILE, conversion.look):
            return conversion.run()
    except OSError as error:
        raise ConversionError(
            f"{error.filename or plan.output_directory} can't be used: {error.strerror or error}.",
            action="Look at its permissions and at the free space of its filesystem.",
        ) from error
    finally:
        if "convert" in plan.stages:
            _remove_working_copies(plan)


# How far a conversion is, in the directory of its results; hidden, since it is none of them.
PROGRESS_FILE = ".conversion-progress.json"


class _Conversion:
    """The steps of one conversion, with its clock."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._state = State("working copies")
        self._began = time.monotonic()
        self._qemu_img = QemuImg(plan.request.isolation)
        self._reports: list[dict[str, Any]] = []
        self._durations: dict[str, float] = {}
        self._workplace = Workplace(
            installation=plan.installation,
            scratch=plan.work / "scratch",
            output_directory=plan.output_directory,
            evidence=_evidence(plan),
            log_path=plan.log_path,
            # Tried once, before there are threads: the trial forks.
            kvm=kvm_works(),
            environment=plan.request.environment,
            isolation=plan.request.isolation,
        )
        self._guest = guest_session(self._workplace, plan.request.document)
        self._repaired: Repaired | None = None

    def run(self) -> dict[str, Any]:
        plan = self._plan
        boot = boot_disk(plan.disks)
        data = [disk for disk in plan.disks if disk is not boot]
        with self._timed("working_copies"):
            boot_copy = self._copy(boot)
        fixing = "fix" in plan.stages
        with (
            _beside([partial(self._copy, disk) for disk in data]) as data_copies,
            _beside([self._read] if fixing else []) as readings,
        ):
            if fixing:
                with self._timed("fix"):
                    self._fix(boot_copy)
            with self._timed("working_copies"):
                copies = {copied.disk.id: copied for copied in (boot_copy, *data_copies())}
            with self._timed("guest_read"):
                reading = next(iter(readings()), None)
        ordered = [copies[disk.id] for disk in plan.disks]
        touched: set[str] = set()
        if reading is not None:
            with self._timed("guest_repair"):
                self._repair(ordered, reading)
            touched = {boot.id, *(plan.disks[number].id for number in reading.disks)}
        rest = [stage for stage in plan.stages if stage not in self._stages_with_fix()]
        if rest:
            with self._timed("convert"):
                self._run("convert", ordered, stages=rest, writable=[])
        outputs: list[Output] = []
        if "convert" in plan.stages:
            self._state = State("comparing the result")
            with self._timed("verify"):
                outputs = [self._verify(copied, copied.disk.id in touched) for copied in ordered]
        return self._result(outputs)

    def look(self) -> State:
        """Tell how far the conversion is; from any thread."""
        return self._state

    def _note(self, progress: Progress) -> None:
        stage = " ".join(part for part in (progress.stage, progress.disk) if part)
        self._state = State(stage.replace("_", " ") or "hyper2kvm", progress.percent)

    def _fix(self, boot_copy: WorkingCopy) -> None:
        mark = WriteMark.of(boot_copy.path)
        self._run("fix", [boot_copy], stages=self._stages_with_fix(), writable=[boot_copy.path])
        judge_fix(WriteMark.of(boot_copy.path) != mark, self._plan.log_path)

    def _read(self, cancelled: threading.Event) -> Reading:
        disks = exported_disks(self._plan.disks, self._qemu_img)
        return self._guest.read(disks, timeout=self._remaining(), cancelled=cancelled)

    def _repair(self, copies: Sequence[WorkingCopy], reading: Reading) -> None:
        """Make of a guest that hyper2kvm has fixed one that boots, or fail with what it lacks."""
        request = self._plan.request
        judge_guest(reading.findings)
        self._state = State("repairing the guest")
        self._repaired = self._guest.repair(
            examined_disks(copies),
            reading,
            firmware=request.document.get("vm", {}).get("firmware", "bios"),
            repair=request.repair,
            guest_network=request.guest_network,
            timeout=self._remaining(),
        )
        judge_guest(self._repaired.findings, self._repaired)

    def _stages_with_fix(self) -> tuple[str, ...]:
        if "fix" not in self._plan.stages:
            return ()
        return tuple(stage for stage in self._plan.stages if stage in ("inspect", "fix"))

    def _run(
        self,
        name: str,
        copies: Sequence[WorkingCopy],
        *,
        stages: Sequence[str],
        writable: Sequence[Path],
    ) -> None:
        report_path = self._workplace.scratch / f"{name}.json"
        manifest = derive(
            self._plan.request.document,
            copies,
            stages=stages,
            output_directory=self._plan.output_directory,
            target_format=self._plan.target_format,
            report_path=report_path,
        )
        try:
            report = run_hyper2kvm(
                self._workplace,
                manifest,
                stages=stages,
                report_path=report_path,
                writable=writable,
                readonly=[copied.path for copied in copies if copied.path not in writable],
                timeout=self._remaining(),
                on_progress=self._note,
            )
        except ConversionError:
            # The report of a failed run is evidence too.
            if report_path.exists():
                shutil.copyfile(report_path, self._plan.report_path)
            raise
        self._reports.append(report)
        merged = json.dumps(merge_reports(self._reports), indent=2)
        self._plan.report_path.write_text(merged + "\n", encoding="utf-8")

    def _copy(self, disk: SourceDisk, cancelled: threading.Event | None = None) -> WorkingCopy:
        return make_working_copy(
            disk, self._plan.work, self._qemu_img, self._remaining(), cancelled
        )

    def _verify(self, copied: WorkingCopy, touched: bool) -> Output:
        return verify_output(
            copied,
            directory=self._plan.output_directory,
            output_format=self._plan.target_format,
            # Nobody may have changed a data disk: it is held against the exported file
            # itself, which qemu-img decodes with code of its own.
            against_source=not touched,
            qemu_img=self._qemu_img,
            timeout=self._remaining(),
        )

    def _result(self, outputs: Sequence[Output]) -> dict[str, Any]:
        plan = self._plan
        stages = stages_of(merge_reports(self._reports))
        result = {
            **plan.expected_result(),
            "stages": {stage: asdict(stages[stage]) for stage in plan.stages},
            "durations": {name: round(spent, 2) for name, spent in self._durations.items()},
        }
        if self._repaired is not None:
            result.update(self._repaired.result())
        if outputs:
            save_record(plan.record_path, plan.fingerprint, outputs, result)
        return {**result, "outputs": [asdict(output) for output in outputs]}

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        spent = time.monotonic() - began
        self._durations[name] = self._durations.get(name, 0.0) + spent

    def _remaining(self) -> float:
        return max(1.0, self._began + self._plan.request.timeout - time.monotonic())


@contextmanager
def _beside(
    tasks: Sequence[Callable[[threading.Event], _Made]],
) -> Iterator[Callable[[], list[_Made]]]:
    """Do *tasks* one after the other in a thread meanwhile; what is yielded waits for them.

    When the with block ends, for whatever reason, the event that each gets is set.
    """
    cancelled = threading.Event()
    with ThreadPoolExecutor(max_workers=1) as executor:
        futures: list[Future[_Made]] = [executor.submit(task, cancelled) for task in tasks]
        try:
            yield lambda: [future.result() for future in futures]
        finally:
            cancelled.set()


def _prepare(plan: Plan) -> None:
    """Make the directories, and take away what an earlier run left of its results."""
    plan.record_path.unlink(missing_ok=True)
    shutil.rmtree(plan.work / "scratch", ignore_errors=True)
    for disk in plan.disks:
        if not is_fresh(plan.work, disk):
            remove_working_copy(plan.work, disk)
    for directory in (plan.work, plan.output_directory):
        directory.mkdir(parents=True, exist_ok=True)
    # The derived manifest may hold password hashes, temporary files parts of the guest.
    (plan.work / "scratch").mkdir(mode=0o700)
    for path in (plan.log_path, plan.report_path):
        path.unlink(missing_ok=True)
    for disk in plan.disks:
        result = output_path(plan.output_directory, disk.id, plan.target_format)
        if any(result == other.path for other in plan.disks):
            raise ConversionError(
                f"The converted disk would replace {result}, which is an exported one.",
                action="Give another output_dir.",
            )
        result.unlink(missing_ok=True)
    check_space(plan.disks, plan.work)


def _remove_working_copies(plan: Plan) -> None:
    shutil.rmtree(plan.work / "scratch", ignore_errors=True)
    for disk in plan.disks:
        remove_working_copy(plan.work, disk)
    try:
        plan.work.rmdir()
    except OSError:
        pass  # Something of the user's lies in it.


def _evidence(plan: Plan) -> tuple[Path, ...]:
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
