# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.repair import Finding, Repair
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.session import Repaired
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.errors import (
    ConversionError,
    RootNotFoundError,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.log import RunLog
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.verdict import (
    judge_fix,
    judge_guest,
    judge_run,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.working_copies import (
    WriteMark,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.sandbox.run import Completed

LOG = Path("/srv/migration/web01/out/hyper2kvm.log")


def completed(returncode: int = 0, *, timed_out: bool = False) -> Completed:
    return Completed(returncode, timed_out, 12.3, b"", ("first", "last words", ""))


def report(**stages: bool) -> dict[str, Any]:
    return {
        "pipeline": {
            "success": all(stages.values()),
            "stages": {
                name: {"success": success, "duration": 1.0, "error": "" if success else "boom"}
                for name, success in stages.items()
            },
        }
    }


def judge(
    ended: Completed,
    document: dict[str, Any] | None,
    *lines: str,
    stages: tuple[str, ...] = ("fix", "convert"),
) -> None:
    log = RunLog()
    for line in lines:
        log.take(line)
    judge_run(ended, log, document, stages=stages, log_path=LOG)


GOOD = report(load_manifest=True, fix=True, convert=True)


def test_a_good_run() -> None:
    judge(completed(), GOOD)


def test_exit_status() -> None:
    with pytest.raises(
        ConversionError, match="exit status 2 in its start; its last line: last words"
    ):
        judge(completed(2), None)


def test_time_out_names_the_place() -> None:
    with pytest.raises(ConversionError, match=r"time-out, after 12 s, in fix\. Its log: /srv/"):
        judge(completed(-9, timed_out=True), None, "[proc=x] ➡️  Stage: FIX")


def test_a_root_that_fix_does_not_find_is_told_apart() -> None:
    document = report(load_manifest=True, fix=False)
    with pytest.raises(ConversionError) as other:
        judge(completed(1), document)
    assert not isinstance(other.value, RootNotFoundError)
    document["pipeline"]["stages"]["fix"]["error"] = "Failed to mount root filesystem."
    with pytest.raises(RootNotFoundError, match=r"Failed to mount root filesystem\. Its log: /"):
        judge(completed(1), document)


def test_a_failed_stage_says_more_than_the_exit_status() -> None:
    with pytest.raises(ConversionError, match="stage fix failed: boom"):
        judge(completed(1), report(load_manifest=True, fix=False))


def test_a_missing_stage() -> None:
    with pytest.raises(ConversionError, match="no stage convert"):
        judge(completed(), report(load_manifest=True, fix=True))


def test_no_report() -> None:
    with pytest.raises(ConversionError, match="left no report"):
        judge(completed(), None)


def test_a_pipeline_that_says_it_failed() -> None:
    document = report(fix=True, convert=True)
    document["pipeline"]["success"] = False
    with pytest.raises(ConversionError, match="pipeline failed"):
        judge(completed(), document)


def test_success_in_spite_of_a_failed_edit() -> None:
    line = "x WARNING  [proc=x] Stage failed: rewrite_fstab: Read-only file system"
    with pytest.raises(ConversionError, match="an edit of the guest failed") as caught:
        judge(completed(), GOOD, line)
    failure = caught.value.failure()
    assert failure["log_path"] == str(LOG)
    assert failure["failed_edits"] == ["Stage failed: rewrite_fstab: Read-only file system"]


def test_fix_that_wrote_nothing(tmp_path: Path) -> None:
    image = tmp_path / "disk-0.raw"
    image.write_bytes(b"x" * 4096)
    os.utime(image, ns=(1, 1))
    mark = WriteMark.of(image)
    image.read_bytes()
    with pytest.raises(ConversionError, match="did not write"):
        judge_fix(WriteMark.of(image) != mark, LOG)
    with image.open("r+b") as file:
        file.write(b"x")
    judge_fix(WriteMark.of(image) != mark, LOG)


def finding(severity: str, message: str) -> Finding:
    return Finding(severity, "/etc/fstab", message, f"Do something about: {message}")


def test_a_guest_that_lacks_nothing_passes() -> None:
    judge_guest([])
    judge_guest([finding("warning", "The swap is small.")])


def test_a_guest_that_would_not_boot() -> None:
    found = [finding("warning", "w."), finding("error", "No virtio."), finding("error", "No root.")]
    repaired = Repaired({"os": {}}, (Repair("Did something", "/etc/x"),), tuple(found))
    with pytest.raises(ConversionError, match=r"No virtio\. \(and 1 more\)") as caught:
        judge_guest(found, repaired)
    failure = caught.value.failure()
    assert failure["msg"].endswith("Do something about: No virtio.")
    assert [one["severity"] for one in failure["findings"]] == ["warning", "error", "error"]
    assert failure["repaired"][0]["what"] == "Did something"
    assert failure["guest"] == {"os": {}}


def test_what_is_wrong_before_fix() -> None:
    with pytest.raises(ConversionError, match="encrypted") as caught:
        judge_guest([finding("error", "It is encrypted.")])
    assert "guest" not in caught.value.failure()
