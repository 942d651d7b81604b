# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a conversion will do, known before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..kvm.domain.identity import KEEP, NEW, machine_uuid, new_macs
from ..manifest.building import WRITER_VERSION
from ..sandbox.limits import UNLIMITED, Limits
from .derived_manifest import enabled_stages
from .disks import SourceDisk, source_disks
from .errors import ConversionError
from .hooks import check_hooks
from .installation import MEASURED_VERSION, Installation, find_installation
from .outputs import output_path
from .profile import with_profile
from .queue import Queue, check_queue
from .record import FILE_NAME as RECORD_NAME
from .record import fingerprint, load_record

LOG_NAME = "hyper2kvm.log"
REPORT_NAME = "report.json"


@dataclass(frozen=True)
class Request:
    """What is to be converted, and how.

    Attributes:
        manifest_path: The artifact manifest.
        document: Its content, valid.
        output_directory: Where the converted disks go.
        target_format: qcow2, raw or vdi; None takes the manifest's.
        stages: Stages to run; None takes the manifest's.
        timeout: Seconds for all of it.
        executable: hyper2kvm's program; None looks for it.
        environment: Variables for hyper2kvm.
        isolation: "bubblewrap" or "none".
        compress: Whether a qcow2 is compressed; None takes the manifest's.
        dry_run: Whether hyper2kvm only says what FIX would change; None takes the manifest's.
        limits: What its programs may take of the host.
        keep_on_failure: Whether the working copies stay when it fails.
        queue: hyper2kvm's workflow directory, whose daemon does FIX; None does it here.
        repair: Whether a fixed guest is repaired where it would not boot on virtio.
        guest_network: "keep" puts the guest's network back as it was before FIX, "hyper2kvm"
            leaves it.
        mac_policy: "keep", or "new" for a machine that gets new MAC addresses on KVM.
        domain_uuid: The machine's UUID, from which they follow; "" for the VM's own.
    """

    manifest_path: Path
    document: dict[str, Any]
    output_directory: Path
    target_format: str | None = None
    stages: Sequence[str] | None = None
    timeout: float = 14400.0
    executable: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    isolation: str = "bubblewrap"
    compress: bool | None = None
    dry_run: bool | None = None
    limits: Limits = UNLIMITED
    keep_on_failure: bool = False
    queue: Queue | None = None
    repair: bool = True
    guest_network: str = "keep"
    mac_policy: str = KEEP
    domain_uuid: str = ""


@dataclass(frozen=True)
class Plan:
    """A request, looked at: everything that is known before anything is written.

    `macs` are the MAC addresses that NICs get on KVM, by their ids; empty where they keep theirs.
    """

    request: Request
    installation: Installation
    disks: tuple[SourceDisk, ...]
    stages: tuple[str, ...]
    target_format: str
    compress: bool
    dry_run: bool
    macs: Mapping[str, str]
    fingerprint: str

    @property
    def output_directory(self) -> Path:
        """Where the converted disks, the report and the log go."""
        return self.request.output_directory

    @property
    def work(self) -> Path:
        """Directory of the working copies."""
        return self.request.manifest_path.parent / "work"

    @property
    def job_note(self) -> Path:
        """Where the job in the daemon's queue is noted while it is there."""
        return self.work / "queued-job.json"

    @property
    def log_path(self) -> Path:
        """Where hyper2kvm's output is kept; a dry run's beside the conversion's."""
        return self.output_directory / (f"dry-run-{LOG_NAME}" if self.dry_run else LOG_NAME)

    @property
    def report_path(self) -> Path:
        """Where hyper2kvm's report is kept; a dry run's beside the conversion's."""
        return self.output_directory / (f"dry-run-{REPORT_NAME}" if self.dry_run else REPORT_NAME)

    @property
    def record_path(self) -> Path:
        """Where a finished conversion is recorded."""
        return self.output_directory / RECORD_NAME

    @property
    def stages_with_fix(self) -> tuple[str, ...]:
        """The stages of hyper2kvm's first run; the daemon does FIX alone."""
        if "fix" not in self.stages:
            return ()
        first = ("fix",) if self.request.queue is not None else ("inspect", "fix")
        return tuple(stage for stage in self.stages if stage in first)

    @property
    def rest(self) -> tuple[str, ...]:
        """The stages that come after FIX."""
        return tuple(stage for stage in self.stages if stage not in self.stages_with_fix)

    def notes(self) -> list[str]:
        """Return what the user should know beforehand, a sentence each."""
        notes = []
        version = self.installation.version
        if version != MEASURED_VERSION:
            notes.append(
                f"hyper2kvm {version} runs; this collection was measured on {MEASURED_VERSION}."
            )
        if self.request.isolation == "none":
            notes.append("isolation: none lets hyper2kvm reach the disks of this conversion host.")
        convert = self.request.document.get("pipeline", {}).get("convert", {})
        if self.compress and convert.get("compress_level") is not None:
            notes.append(
                "The manifest's pipeline.convert.compress_level is left out: QEMU's qcow2 knows no"
                " level, and hyper2kvm's attempt to pass it on fails."
            )
        if self.compress and self.target_format != "qcow2":
            notes.append(f"A {self.target_format} image can't be compressed; only qcow2 can.")
        return notes

    def steps(self) -> list[str]:
        """Return what would be done, in order, a line each."""
        copies = [f"copy {disk.path} to {self.work / disk.id}.raw" for disk in self.disks]
        program = str(self.installation.executable)
        where = "" if self.request.isolation == "none" else ", in a sandbox"
        first = f"{program} --manifest: {', '.join(self.stages_with_fix)}{where}"
        if self.request.queue is not None:
            first = f"hyper2kvm's daemon on {self.request.queue.directory}: fix"
        runs = [first] if self.stages_with_fix else []
        if self.dry_run:
            return [*copies, *(f"{run} (dry run)" for run in runs)]
        if runs:
            runs.append(
                f"examine the guest{' and repair it' if self.request.repair else ''}{where}"
            )
        if self.rest:
            runs.append(f"{program} --manifest: {', '.join(self.rest)}{where}")
        if "convert" in self.stages:
            runs.append(f"compare the converted disks with their sources{where}")
        return [*copies, *runs]

    def earlier_result(self) -> dict[str, Any] | None:
        """Return the result of an earlier run of the same, None when there is none."""
        return load_record(self.record_path, self.fingerprint)

    def expected_result(self) -> dict[str, Any]:
        """Return what can be said in check mode: the paths and the stages."""
        outputs = []
        if "convert" in self.stages and not self.dry_run:
            outputs = [
                {
                    "id": disk.id,
                    "path": str(output_path(self.output_directory, disk.id, self.target_format)),
                    "format": self.target_format,
                }
                for disk in self.disks
            ]
        return {
            "outputs": outputs,
            "report_path": str(self.report_path),
            "log_path": str(self.log_path),
            "fixed": "fix" in self.stages and not self.dry_run,
            "stages": {stage: {} for stage in self.stages},
            "hyper2kvm_version": self.installation.version,
            "isolation": self.request.isolation,
            "mode": "direct" if self.request.queue is None else "queue",
            "dry_run": self.dry_run,
        }


def make_plan(request: Request) -> Plan:
    """Look at a request without changing anything.

    Raises:
        ConversionError: hyper2kvm is missing, a disk is, or nothing would be converted.
        SandboxError: bubblewrap is missing.
    """
    installation = find_installation(request.executable, isolation=request.isolation)
    request = replace(request, document=with_profile(request.document, installation))
    check_hooks(request.document, installation)
    disks = source_disks(request.document, request.manifest_path)
    stages = enabled_stages(request.document, request.stages)
    target_format = request.target_format or request.document.get("output", {}).get(
        "format", "qcow2"
    )
    compress, dry_run = request.compress, request.dry_run
    if compress is None:
        compress = bool(request.document.get("pipeline", {}).get("convert", {}).get("compress"))
    if dry_run is None:
        dry_run = bool(request.document.get("options", {}).get("dry_run"))
    if dry_run or request.queue is not None:
        _check_fix(request, stages, dry_run)
    sources = [
        (disk.id, str(disk.path), disk.path.stat().st_size, disk.path.stat().st_mtime_ns)
        for disk in disks
    ]
    macs = _new_macs(request) if request.mac_policy == NEW else {}
    return Plan(
        request=request,
        installation=installation,
        disks=disks,
        stages=stages,
        target_format=target_format,
        compress=compress,
        dry_run=dry_run,
        macs=macs,
        fingerprint=fingerprint(
            manifest=request.document,
            sources=sources,
            stages=stages,
            target_format=target_format,
            compress=compress,
            output_directory=str(request.output_directory),
            version=installation.version,
            # A newer one may repair more.
            collection=WRITER_VERSION,
            environment=dict(request.environment),
            repair=request.repair,
            guest_network=request.guest_network,
            macs=macs,
        ),
    )


def _new_macs(request: Request) -> dict[str, str]:
    """Return the MAC addresses that the machine gets on KVM, as kvm_domain gives them."""
    document = request.document
    name = document.get("source", {}).get("vm_name") or request.manifest_path.parent.name
    return new_macs(document, machine_uuid(document, request.domain_uuid, str(name)))


def _check_fix(request: Request, stages: Sequence[str], dry_run: bool) -> None:
    """Raise ConversionError unless what is asked for beside FIX can be had."""
    if "fix" not in stages:
        raise ConversionError(
            "A dry run and mode: queue are about the stage fix, which is not enabled.",
            action="Enable it, or leave them out.",
        )
    if request.queue is not None:
        if dry_run:
            raise ConversionError(
                "hyper2kvm's daemon does no dry run.", action="Use mode: direct for it."
            )
        check_queue(request.queue, request.document)
