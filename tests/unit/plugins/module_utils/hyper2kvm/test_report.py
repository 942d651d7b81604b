# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.errors import (
    ConversionError,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.report import (
    StageResult,
    load_report,
    merge_reports,
    stages_of,
)


def report(seconds: float, success: bool, *names: str) -> dict[str, Any]:
    return {
        "pipeline": {
            "success": success,
            "duration_seconds": seconds,
            "stages": {name: {"success": success, "duration": seconds} for name in names},
        },
        "warnings": [{"stage": names[-1], "message": "careful"}],
        "errors": [],
        "artifacts": [],
        "summary": {"input_disks": 1},
    }


def test_two_runs_make_one_report() -> None:
    merged = merge_reports(
        [report(80.5, True, "load_manifest", "fix"), report(2.25, True, "load_manifest", "convert")]
    )
    assert list(merged["pipeline"]["stages"]) == ["load_manifest", "fix", "convert"]
    assert merged["pipeline"]["success"] is True
    assert merged["pipeline"]["duration_seconds"] == 82.75
    assert [warning["stage"] for warning in merged["warnings"]] == ["fix", "convert"]
    assert merged["summary"]["total_stages"] == 3
    assert stages_of(merged)["fix"] == StageResult(True, 80.5)


def test_a_stage_that_divided_the_disks_is_one() -> None:
    def converted(disk: str, success: bool) -> dict[str, Any]:
        made = report(2.0, success, "convert")
        made["pipeline"]["stages"]["convert"]["result"] = {
            "disks_converted": 1,
            "compressed": True,
            "output_format": "qcow2",
            "converted_disks": [{"disk_id": disk}],
        }
        return made

    merged = merge_reports([converted("disk-1", True), converted("disk-0", True)])
    stage = merged["pipeline"]["stages"]["convert"]
    assert stage["result"] == {
        "disks_converted": 2,
        "compressed": True,
        "output_format": "qcow2",
        "converted_disks": [{"disk_id": "disk-1"}, {"disk_id": "disk-0"}],
    }
    assert stages_of(merged)["convert"] == StageResult(True, 4.0)
    halved = merge_reports([converted("disk-1", False), converted("disk-0", True)])
    assert stages_of(halved)["convert"].success is False


def test_one_failure_is_a_failure() -> None:
    merged = merge_reports([report(1, False, "fix"), report(1, True, "convert")])
    assert merged["pipeline"]["success"] is False
    assert merged["summary"]["failed_stages"] == 1


def test_the_reports_are_not_changed() -> None:
    first = report(1, True, "fix")
    text = json.dumps(first)
    merge_reports([first, report(1, True, "convert")])
    assert json.dumps(first) == text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pipeline": 1}', "nonsense"])
def test_what_is_no_report(text: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(ConversionError, match=str(path)):
        load_report(path)
