# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a run of hyper2kvm can be believed. Its own word is not enough."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..guest.repair import Finding
from ..guest.session import Repaired, errors
from ..sandbox.run import Completed
from .errors import ConversionError
from .log import RunLog, kind_of_failure
from .report import stages_of


def judge_run(
    completed: Completed,
    log: RunLog,
    report: dict[str, Any] | None,
    *,
    stages: Collection[str],
    log_path: Path,
    dry_run: bool = False,
) -> None:
    """Raise ConversionError, in one sentence, unless the run did what it was asked.

    It is a RootNotFoundError where FIX found no root filesystem.

    Args:
        completed: How the process ended.
        log: What its output said.
        report: Its report, None when it left none.
        stages: The stages that were enabled.
        log_path: Where the log is kept, for the message.
        dry_run: Whether nothing was to be written, so that edits that failed are none.
    """
    if completed.timed_out:
        raise _failed(
            f"hyper2kvm was stopped at the time-out, after {completed.seconds:.0f} s, in"
            f" {log.progress}",
            log_path,
            action="Raise the time-out; without KVM, FIX alone takes minutes.",
        )
    # What a stage raised says more than the exit status that follows from it.
    results = stages_of(report) if report is not None else {}
    for name, result in results.items():
        if not result.success:
            raise _failed(
                f"hyper2kvm's stage {name} failed: {result.error.rstrip('.')}",
                log_path,
                kind=kind_of_failure(result.error) if name == "fix" else ConversionError,
            )
    if completed.returncode != 0:
        said = next((line for line in reversed(completed.tail) if line.strip()), "nothing")
        raise _failed(
            f"hyper2kvm ended with exit status {completed.returncode} in {log.progress}; its last"
            f" line: {said.strip()}",
            log_path,
        )
    if report is None:
        raise _failed("hyper2kvm left no report", log_path)
    for stage in stages:
        if stage not in results:
            raise _failed(f"hyper2kvm's report has no stage {stage}, which was enabled", log_path)
    if report["pipeline"].get("success") is not True:
        raise _failed("hyper2kvm's report says that its pipeline failed", log_path)
    if log.failed_edits and not dry_run:
        raise _failed(
            "hyper2kvm says success, but an edit of the guest failed: " + log.failed_edits[0],
            log_path,
            failed_edits=log.failed_edits,
        )


def judge_fix(written: bool, log_path: Path) -> None:
    """Raise ConversionError when FIX says success and has written nothing to the boot disk."""
    if not written:
        raise _failed(
            "hyper2kvm says that FIX succeeded, but it did not write to the boot disk's copy",
            log_path,
        )


def judge_rehearsal(written: bool, log_path: Path) -> None:
    """Raise ConversionError when a dry run has written to the boot disk's copy."""
    if written:
        raise _failed("hyper2kvm's dry run wrote to the boot disk's copy", log_path)


def judge_guest(findings: Sequence[Finding], repaired: Repaired | None = None) -> None:
    """Raise ConversionError when something is wrong with the guest for which it would not boot.

    Args:
        findings: What was found in it.
        repaired: What was done to it, for the failed task's result.
    """
    wrong = errors(findings)
    if not wrong:
        return
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    details = repaired.result() if repaired is not None else {}
    details["findings"] = [asdict(finding) for finding in findings]
    raise ConversionError(
        f"The guest would not run on KVM as it ran before: {wrong[0].message}{more}",
        action=wrong[0].action,
        **details,
    )


def _failed(
    what: str,
    log_path: Path,
    *,
    kind: type[ConversionError] = ConversionError,
    action: str = "",
    **details: Any,
) -> ConversionError:
    return kind(f"{what}. Its log: {log_path}.", action=action, log_path=str(log_path), **details)
