# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The single steps of a conversion, with its clock; in what order they come is conversion.py's."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..guest.session import Reading, Repaired
from ..guest.subvolumes import HiddenRoot
from ..progress_file import State
from ..sandbox.kvm_device import kvm_works
from .conversion_meter import ConversionMeter
from .derived_manifest import derive
from .directories import evidence, scratch_directory
from .disks import SourceDisk
from .errors import ConversionError, RootNotFoundError
from .guest import appliance_name, examined_disks, exported_disks, guest_session
from .hidden_root import root_to_show, still_hidden
from .images import QemuImg
from .log import Progress
from .outputs import verify_output
from .overhead import overhead
from .plan import Plan
from .queue import Job
from .record import Output
from .report import merge_reports
from .run import Workplace, run_hyper2kvm
from .verdict import judge_fix, judge_guest, judge_rehearsal
from .working_copies import WorkingCopy, WriteMark, fresh_copy, make_working_copy


class Steps:
    """What a conversion does, step by step.

    Attributes:
        reports: hyper2kvm's, one of each run.
        durations: Seconds by step.
    """

    def __init__(self, plan: Plan, began: float) -> None:
        """Make ready.

        Args:
            plan: What is done.
            began: When the conversion began, on time.monotonic()'s clock.
        """
        self.reports: list[dict[str, Any]] = []
        self.durations: dict[str, float] = {}
        self._plan = plan
        self._began = began
        self._runs: list[tuple[float, float]] = []
        self._qemu_img = QemuImg(plan.request.isolation, plan.request.limits)
        self._workplace = Workplace(
            installation=plan.installation,
            scratch=scratch_directory(plan),
            output_directory=plan.output_directory,
            evidence=evidence(plan),
            log_path=plan.log_path,
            # Tried once, before there are threads: the trial forks.
            kvm=kvm_works(),
            environment=plan.request.environment,
            isolation=plan.request.isolation,
            limits=plan.request.limits,
        )
        self._copies: dict[str, WorkingCopy] = {}
        self._state = State("working copies")
        self._meter: ConversionMeter | None = None
        self._shown: HiddenRoot | None = None
        self._unfit = threading.Event()
        self._guest = guest_session(self._workplace, plan.request.document, plan.macs)
        self.durations["preparation"] = time.monotonic() - began

    def look(self) -> State:
        """Tell how far the conversion is; from any thread."""
        state, meter = self._state, self._meter
        read = meter.bytes_read() if meter is not None else None
        if meter is None or read is None:
            return state
        return replace(state, percent=meter.percent(read), bytes_done=read)

    def enter(self, stage: str, converted: WorkingCopy | None = None) -> None:
        """Note what is done from now on, and what is converted by it."""
        self._meter = ConversionMeter(converted) if converted is not None else None
        self._state = State(stage)

    def copy(self, disk: SourceDisk, cancelled: threading.Event | None = None) -> WorkingCopy:
        """Make the working copy of one disk."""
        copied = make_working_copy(
            disk, self._plan.work, self._qemu_img, self._remaining(), cancelled
        )
        self._copies[disk.id] = copied
        return copied

    def rehearse(self, disk: SourceDisk) -> None:
        """Let hyper2kvm say what FIX would do to the boot disk."""
        copied = fresh_copy(self._plan.work, disk) or self.copy(disk)
        mark = WriteMark.of(copied.path)
        try:
            self._run("fix", [copied], stages=self._plan.stages_with_fix, writable=[])
        except RootNotFoundError as refusal:
            self._root_to_show(refusal, lambda: self.read_guest(threading.Event()))
            raise
        judge_rehearsal(WriteMark.of(copied.path) != mark, self._plan.log_path)

    def fix(self, boot: WorkingCopy, read: Callable[[], Reading]) -> None:
        """Let hyper2kvm fix the boot disk's copy, here or in its daemon's queue.

        Here it is stopped as soon as the guest is seen to be one that can't be repaired afterwards.

        Args:
            boot: The copy.
            read: Gives what was seen of the guest, once that is known.
        """
        try:
            self._fix(boot)
            return
        except RootNotFoundError as refusal:
            root = self._root_to_show(refusal, read)
        except ConversionError:
            if self._unfit.is_set():
                judge_guest(read().findings)
            raise
        self.enter("showing the root to hyper2kvm")
        self._guest.show(examined_disks([boot])[0], root, timeout=self._remaining())
        self._shown = root
        try:
            self._fix(boot)
        except RootNotFoundError as refusal:
            raise still_hidden(refusal, root) from None

    def _fix(self, boot: WorkingCopy) -> None:
        mark = WriteMark.of(boot.path)
        if self._plan.request.queue is None:
            self._run(
                "fix",
                [boot],
                stages=self._plan.stages_with_fix,
                writable=[boot.path],
                cancelled=self._unfit,
            )
        else:
            manifest = self._manifest("fix", [boot], self._plan.stages_with_fix)
            job = Job.submit(self._plan.request.queue, manifest, boot.path, self._plan.job_note)
            with self._running():
                report = job.wait(self._remaining(), self._note)
            self._add_report(report)
        judge_fix(WriteMark.of(boot.path) != mark, self._plan.log_path)

    def _root_to_show(self, refusal: RootNotFoundError, read: Callable[[], Reading]) -> HiddenRoot:
        return root_to_show(
            refusal,
            read,
            boot=appliance_name(self._plan.disks),
            isolation=self._plan.request.isolation,
            by_daemon=self._plan.request.queue is not None,
            dry_run=self._plan.dry_run,
        )

    def read_guest(self, cancelled: threading.Event) -> Reading:
        """Look at the guest as it was exported."""
        disks = exported_disks(self._plan.disks, self._qemu_img)
        reading = self._guest.read(disks, timeout=self._remaining(), cancelled=cancelled)
        if reading.ends_fix:
            self._unfit.set()
        return reading

    def repair_guest(self, copies: Sequence[WorkingCopy], reading: Reading) -> Repaired:
        """Make of a guest that hyper2kvm has fixed one that boots, or fail with what it lacks."""
        request = self._plan.request
        judge_guest(reading.findings)
        self.enter("repairing the guest")
        repaired = self._guest.repair(
            examined_disks(copies),
            reading,
            firmware=request.document.get("vm", {}).get("firmware", "bios"),
            repair=request.repair,
            guest_network=request.guest_network,
            timeout=self._remaining(),
            shown=self._shown,
        )
        judge_guest(repaired.findings, repaired)
        return repaired

    def convert(self, copies: Sequence[WorkingCopy], stages: Sequence[str]) -> None:
        """Let hyper2kvm convert copies that nobody writes any more."""
        self._run("convert", copies, stages=stages, writable=[])

    def convert_beside(
        self, copies: Sequence[WorkingCopy], stages: Sequence[str], cancelled: threading.Event
    ) -> list[Output]:
        """Convert data disks and look at them while another thread has the boot disk fixed."""
        log = self._workplace.scratch / "data-disks.log"
        workplace = replace(self._workplace, log_path=log)
        try:
            self._run(
                "data-disks",
                copies,
                stages=stages,
                writable=[],
                workplace=workplace,
                cancelled=cancelled,
            )
            return self.verify([(copied, False) for copied in copies])
        finally:
            if log.exists():
                with self._plan.log_path.open("ab") as whole, log.open("rb") as part:
                    shutil.copyfileobj(part, whole)

    def verify(self, copies: Sequence[tuple[WorkingCopy, bool]]) -> list[Output]:
        """Look at converted disks, several at once.

        Args:
            copies: What each was made from, and whether that was changed on purpose. What nobody
                may have changed is held against the exported file itself, which qemu-img decodes
                with code of its own.
        """
        timeout = self._remaining()

        def look(copied: WorkingCopy, touched: bool) -> Output:
            return verify_output(
                copied,
                directory=self._plan.output_directory,
                output_format=self._plan.target_format,
                against_source=not touched,
                qemu_img=self._qemu_img,
                timeout=timeout,
            )

        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as executor:
            futures = [executor.submit(look, copied, touched) for copied, touched in copies]
            return [future.result() for future in futures]

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add what the block takes to the seconds of a step."""
        began = time.monotonic()
        yield
        spent = time.monotonic() - began
        self.durations[name] = self.durations.get(name, 0.0) + spent

    def overhead(self, guest_seconds: Mapping[str, float]) -> dict[str, float]:
        """Divide the seconds until now among those who took them; see overhead()."""
        return overhead(time.monotonic() - self._began, self._runs, guest_seconds)

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Note when hyper2kvm ran, which two threads may have it do at once."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._runs.append((began, time.monotonic()))

    def _run(
        self,
        name: str,
        copies: Sequence[WorkingCopy],
        *,
        stages: Sequence[str],
        writable: Sequence[Path],
        workplace: Workplace | None = None,
        cancelled: threading.Event | None = None,
    ) -> None:
        report_path = self._report_path(name)
        try:
            with self._running():
                report = run_hyper2kvm(
                    workplace or self._workplace,
                    self._manifest(name, copies, stages),
                    stages=stages,
                    report_path=report_path,
                    writable=writable,
                    readonly=[copied.path for copied in copies if copied.path not in writable],
                    timeout=self._remaining(),
                    # What goes on beside is not what the user waits for.
                    on_progress=self._note if workplace is None else None,
                    cancelled=cancelled,
                )
        except ConversionError:
            # The report of a failed run is evidence too.
            if report_path.exists():
                shutil.copyfile(report_path, self._plan.report_path)
            raise
        self._add_report(report)

    def _manifest(
        self, name: str, copies: Sequence[WorkingCopy], stages: Sequence[str]
    ) -> dict[str, Any]:
        return derive(
            self._plan.request.document,
            copies,
            stages=stages,
            output_directory=self._plan.output_directory,
            target_format=self._plan.target_format,
            compress=self._plan.compress,
            report_path=self._report_path(name),
            dry_run=self._plan.dry_run,
        )

    def _report_path(self, name: str) -> Path:
        return self._workplace.scratch / f"{name}.json"

    def _add_report(self, report: dict[str, Any]) -> None:
        self.reports.append(report)
        merged = json.dumps(merge_reports(self.reports), indent=2)
        self._plan.report_path.write_text(merged + "\n", encoding="utf-8")

    def _note(self, progress: Progress) -> None:
        stage = " ".join(part for part in (progress.stage, progress.disk) if part)
        name = stage.replace("_", " ") or "hyper2kvm"
        if name != self._state.stage:
            self.enter(name, self._copies.get(progress.disk))

    def _remaining(self) -> float:
        return max(1.0, self._began + self._plan.request.timeout - time.monotonic())
