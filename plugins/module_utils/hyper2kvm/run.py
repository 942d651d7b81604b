# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run of hyper2kvm in the sandbox, over some of its stages."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..sandbox.limits import UNLIMITED, Limits
from ..sandbox.run import run
from .environment import CACHE_VARIABLE, hyper2kvm_environment
from .installation import Installation
from .log import Progress, RunLog
from .report import load_report
from .verdict import judge_run

# hyper2kvm 0.2.1 does not understand libguestfs' name of a btrfs subvolume, and then tries the
# partitions of the boot disk, /dev/sda in the appliance, of which it takes only those that are on
# the *host* as well (fixers/offline_fixer.py, mount_root_bruteforce).
_PARTITIONS = tuple(f"sda{number}" for number in range(1, 33))


@dataclass(frozen=True)
class Workplace:
    """Where hyper2kvm runs, the same for all runs of one conversion.

    Attributes:
        installation: The hyper2kvm.
        scratch: Directory for temporary files and reports.
        output_directory: Where converted disks go.
        evidence: Files that it may read and never write.
        log_path: Where its output is kept.
        kvm: Whether KVM works.
        environment: The user's variables.
        isolation: "bubblewrap" or "none".
        limits: What it may take of the host.
    """

    installation: Installation
    scratch: Path
    output_directory: Path
    evidence: Sequence[Path]
    log_path: Path
    kvm: bool
    environment: Mapping[str, str] = field(default_factory=dict)
    isolation: str = "bubblewrap"
    limits: Limits = UNLIMITED


def run_hyper2kvm(
    workplace: Workplace,
    manifest: dict[str, Any],
    *,
    stages: Collection[str],
    report_path: Path,
    writable: Sequence[Path],
    readonly: Sequence[Path],
    timeout: float,
    on_progress: Callable[[Progress], None] | None = None,
    cancelled: threading.Event | None = None,
) -> dict[str, Any]:
    """Run hyper2kvm over *stages* and return its report.

    Args:
        workplace: Where.
        manifest: The derived manifest, written into the scratch directory.
        stages: The stages that it enables.
        report_path: Where it says that the report goes.
        writable: Working copies that FIX changes.
        readonly: Working copies that are only read.
        timeout: Seconds until it is stopped.
        on_progress: Called when the stage or the percentage changes.
        cancelled: Ends it when another thread sets it.

    Raises:
        ConversionError: It failed, or its success can't be believed (see verdict).
    """
    manifest_path = report_path.with_name(report_path.stem + "-manifest.json")
    manifest_path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    log = RunLog()

    def take(line: str) -> None:
        if log.take(line) and on_progress is not None:
            on_progress(log.progress)

    environment = hyper2kvm_environment(
        {"TMPDIR": str(workplace.scratch), **workplace.environment}, kvm=workplace.kvm
    )
    completed = run(
        [str(workplace.installation.executable), "--manifest", str(manifest_path)],
        writable=[
            workplace.scratch,
            workplace.output_directory,
            Path(environment[CACHE_VARIABLE]),
            *writable,
        ],
        readonly=[*workplace.installation.directories, *workplace.evidence, *readonly],
        environment=environment,
        timeout=timeout,
        on_line=take,
        log_path=workplace.log_path,
        kvm=workplace.kvm,
        isolation=workplace.isolation,
        limits=workplace.limits,
        cancelled=cancelled,
        empty_devices=_PARTITIONS,
    )
    report = None
    if report_path.exists():
        report = load_report(report_path)
    judge_run(
        completed,
        log,
        report,
        stages=stages,
        log_path=workplace.log_path,
        dry_run=manifest.get("options", {}).get("dry_run", False),
    )
    if report is None:
        raise AssertionError("judge_run refuses a run without a report")
    return report
