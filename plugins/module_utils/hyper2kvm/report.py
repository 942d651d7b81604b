# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""report.json: hyper2kvm's own account of its stages, and one of several runs put together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ConversionError

# Stages that may run over some disks first and over the others later.
_DIVIDED = ("convert", "validate")


@dataclass(frozen=True)
class StageResult:
    """How a stage ended, as hyper2kvm says; seconds is its duration."""

    success: bool
    seconds: float
    error: str = ""


def load_report(path: Path) -> dict[str, Any]:
    """Return the report at *path*.

    Raises:
        ConversionError: There is none, or it is not a report.
    """
    try:
        report: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConversionError(f"hyper2kvm left no readable report at {path}: {error}.") from error
    if not isinstance(report, dict) or not isinstance(report.get("pipeline"), dict):
        raise ConversionError(f"{path} is not a report of hyper2kvm.")
    return report


def stages_of(report: dict[str, Any]) -> dict[str, StageResult]:
    """Return how each stage of a report ended, by name."""
    return {
        name: StageResult(
            success=stage.get("success") is True,
            seconds=round(float(stage.get("duration", 0.0)), 2),
            error=str(stage.get("error", "")),
        )
        for name, stage in report["pipeline"].get("stages", {}).items()
    }


def merge_reports(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one report of runs that divided the stages among them, the last one's form.

    Stages that divided the disks among them are put together; another that ran twice
    (load_manifest) keeps its last account.
    """
    merged = dict(reports[-1])
    stages: dict[str, Any] = {}
    for report in reports:
        for name, stage in report["pipeline"].get("stages", {}).items():
            twice = name in _DIVIDED and name in stages
            stages[name] = _together(stages[name], stage) if twice else stage
    merged["pipeline"] = {
        **merged["pipeline"],
        "success": all(report["pipeline"].get("success") is True for report in reports),
        "duration_seconds": round(
            sum(report["pipeline"].get("duration_seconds", 0.0) for report in reports), 2
        ),
        "stages": stages,
    }
    for key in ("artifacts", "warnings", "errors"):
        merged[key] = [entry for report in reports for entry in report.get(key, [])]
    merged["summary"] = {
        **merged.get("summary", {}),
        "total_stages": len(stages),
        "successful_stages": sum(1 for stage in stages.values() if stage.get("success")),
        "failed_stages": sum(1 for stage in stages.values() if not stage.get("success")),
        "total_warnings": len(merged["warnings"]),
        "total_errors": len(merged["errors"]),
    }
    return merged


def _together(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return one account of a stage that ran over some disks and then over the others."""
    result = dict(second.get("result") or {})
    for key, value in (first.get("result") or {}).items():
        other = result.get(key)
        if isinstance(value, list) and isinstance(other, list):
            result[key] = [*value, *other]
        elif isinstance(value, bool) and isinstance(other, bool):
            result[key] = value and other
        elif isinstance(value, int) and isinstance(other, int):
            result[key] = value + other
    return {
        **second,
        "success": first.get("success") is True and second.get("success") is True,
        "duration": first.get("duration", 0.0) + second.get("duration", 0.0),
        "result": result,
    }
