# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a conversion will do, known before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .derived_manifest import enabled_stages
from .disks import SourceDisk, source_disks
from .installation import Installation, find_installation
from .outputs import output_path
from .profile import with_profile
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
        repair: Whether a fixed guest is repaired where it would not boot on virtio.
        guest_network: "keep" puts the guest's network back as it was before FIX, "hyper2kvm"
            leaves it.
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
    repair: bool = True
    guest_network: str = "keep"


@dataclass(frozen=True)
class Plan:
    """A request, looked at: everything that is known before anything is written."""

    request: Request
    installation: Installation
    disks: tuple[SourceDisk, ...]
    stages: tuple[str, ...]
    target_format: str
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
    def log_path(self) -> Path:
        """Where hyper2kvm's output is kept."""
        return self.output_directory / LOG_NAME

    @property
    def report_path(self) -> Path:
        """Where hyper2kvm's report is kept."""
        return self.output_directory / REPORT_NAME

    @property
    def record_path(self) -> Path:
        """Where a finished conversion is recorded."""
        return self.output_directory / RECORD_NAME

    def earlier_result(self) -> dict[str, Any] | None:
        """Return the result of an earlier run of the same, None when there is none."""
        return load_record(self.record_path, self.fingerprint)

    def expected_result(self) -> dict[str, Any]:
        """Return what can be said in check mode: the paths and the stages."""
        outputs = []
        if "convert" in self.stages:
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
            "fixed": "fix" in self.stages,
            "stages": {stage: {} for stage in self.stages},
            "hyper2kvm_version": self.installation.version,
            "isolation": self.request.isolation,
        }


def make_plan(request: Request) -> Plan:
    """Look at a request without changing anything.

    Raises:
        ConversionError: hyper2kvm is missing, a disk is, or nothing would be converted.
        SandboxError: bubblewrap is missing.
    """
    installation = find_installation(request.executable, isolation=request.isolation)
    request = replace(request, document=with_profile(request.document, installation))
    disks = source_disks(request.document, request.manifest_path)
    stages = enabled_stages(request.document, request.stages)
    target_format = request.target_format or request.document.get("output", {}).get(
        "format", "qcow2"
    )
    sources = [
        (disk.id, str(disk.path), disk.path.stat().st_size, disk.path.stat().st_mtime_ns)
        for disk in disks
    ]
    return Plan(
        request=request,
        installation=installation,
        disks=disks,
        stages=stages,
        target_format=target_format,
        fingerprint=fingerprint(
            manifest=request.document,
            sources=sources,
            stages=stages,
            target_format=target_format,
            output_directory=str(request.output_directory),
            version=installation.version,
            environment=dict(request.environment),
            repair=request.repair,
            guest_network=request.guest_network,
        ),
    )
