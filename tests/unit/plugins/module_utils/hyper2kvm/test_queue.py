# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The queue's directories; that hyper2kvm's daemon uses them so is shown with it (test_convert_queue.py)."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm import queue as queues
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.errors import (
    ConversionError,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.queue import (
    Job,
    Queue,
    StillProcessedError,
    check_queue,
)

MANIFEST: dict[str, Any] = {
    "source": {"vm_name": "web 01/../x"},
    "pipeline": {"fix": {"enabled": True, "backup": True}},
}


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Queue:
    monkeypatch.setattr(queues, "_LOOK_EVERY", 0.05)
    for name in ("to_be_processed", "processing", "processed/2026-11-24", "failed/2026-11-24"):
        (tmp_path / "queue" / name).mkdir(parents=True)
    return Queue(tmp_path / "queue", idle_timeout=0.5)


@pytest.fixture
def job(queue: Queue, tmp_path: Path) -> Job:
    return Job.submit(queue, MANIFEST, tmp_path / "disk-0.raw", tmp_path / "note.json")


def waiting(queue: Queue) -> list[Path]:
    return list((queue.directory / "to_be_processed").iterdir())


def wait(job: Job, timeout: float = 5.0) -> tuple[dict[str, Any], list[str]]:
    stages: list[str] = []
    return job.wait(timeout, lambda progress: stages.append(progress.stage)), stages


def later(seconds: float, *moves: tuple[Path, Path]) -> threading.Thread:
    def act() -> None:
        for source, target in moves:
            time.sleep(seconds)
            source.rename(target)

    thread = threading.Thread(target=act)
    thread.start()
    return thread


def test_a_job_is_one_file_for_few_eyes(queue: Queue, job: Job, tmp_path: Path) -> None:
    (file,) = waiting(queue)
    assert file.name == job.name
    assert file.name.startswith("web-01-x-")
    assert file.stat().st_mode & 0o777 == 0o600
    load = json.loads(file.read_text())["pipeline"]["load"]
    assert load == {"source_type": "vmdk", "source_path": str(tmp_path / "disk-0.raw")}


def test_a_job_that_succeeds(queue: Queue, job: Job) -> None:
    processing = queue.directory / "processing" / job.name
    done = queue.directory / "processed" / "2026-11-24" / job.name
    Path(f"{done}.report.json").write_text('{"status": "completed"}')
    thread = later(0.3, (waiting(queue)[0], processing), (processing, done))
    report, stages = wait(job)
    thread.join()
    assert stages == ["queued", "fix by the daemon"]
    fix = report["pipeline"]["stages"]["fix"]
    assert fix["success"] is True
    assert fix["result"] == {"job": str(done), "daemon": {"status": "completed"}}
    assert not job.note.exists()


def test_a_job_that_fails_says_why(queue: Queue, job: Job) -> None:
    failed = queue.directory / "failed" / "2026-11-24" / job.name
    Path(f"{failed}.error.json").write_text('{"error": "Failed to mount root filesystem."}')
    waiting(queue)[0].rename(failed)
    with pytest.raises(ConversionError, match="daemon failed: Failed to mount root filesystem"):
        wait(job)


def test_no_daemon(queue: Queue, job: Job) -> None:
    with pytest.raises(ConversionError, match=r"No daemon .* took the job .*; it was taken back"):
        wait(job)
    assert waiting(queue) == []
    assert not job.note.exists()


def test_a_busy_daemon_is_waited_for(queue: Queue, job: Job) -> None:
    (queue.directory / "processing" / "other.json").touch()
    began = time.monotonic()
    with pytest.raises(ConversionError, match=r"still waited .* at the time-out"):
        wait(job, timeout=1.5)
    assert time.monotonic() - began > 1.4
    assert waiting(queue) == []


def test_a_job_at_work_at_the_time_out_is_left_alone(queue: Queue, job: Job) -> None:
    processing = queue.directory / "processing" / job.name
    waiting(queue)[0].rename(processing)
    with pytest.raises(StillProcessedError, match="still at work"):
        wait(job, timeout=0.2)
    with pytest.raises(StillProcessedError, match="of an earlier run"):
        Job.refuse_active(job.note)
    processing.unlink()
    Job.refuse_active(job.note)
    assert not job.note.exists()


def test_a_job_that_waits_for_nobody_any_more_is_taken_back(queue: Queue, job: Job) -> None:
    Job.refuse_active(job.note)
    assert waiting(queue) == []
    Job.refuse_active(job.note)


def test_an_interrupt_takes_the_job_back(queue: Queue, job: Job) -> None:
    def interrupt(_progress: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.wait(5, interrupt)
    assert waiting(queue) == []


def test_an_interrupt_does_not_forget_a_job_at_work(queue: Queue, job: Job) -> None:
    def interrupt(_progress: object) -> None:
        raise KeyboardInterrupt

    waiting(queue)[0].rename(queue.directory / "processing" / job.name)
    with pytest.raises(KeyboardInterrupt):
        job.wait(5, interrupt)
    # By which the working copy stays, and the next run is refused.
    assert job.note.exists()


def test_a_job_that_vanishes(queue: Queue, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "_NOWHERE_FOR", 0.3)
    waiting(queue)[0].unlink()
    with pytest.raises(ConversionError, match="has vanished"):
        wait(job)


def test_a_name_that_was_taken_already(queue: Queue, job: Job) -> None:
    """In processing the daemon gives a second file of a name a time stamp."""
    stamped = f"{job.name[:-5]}_20261124_210000.json"
    waiting(queue)[0].rename(queue.directory / "processing" / stamped)
    assert job.place() == "processing"


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"configuration": {"hostname": {"hostname": "new"}}}, "configuration"),
        ({"hooks": {"pre_fix": []}, "pipeline": {"fix": {"backup": False}}}, "pipeline.fix.backup"),
        ({"pipeline": {"fix": {"fstab_mode": "noop"}}}, "pipeline.fix.fstab_mode"),
    ],
)
def test_what_the_daemon_would_ignore_is_refused(
    queue: Queue, sections: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConversionError, match=f"ignores what the manifest says in .*{words}"):
        check_queue(queue, {**MANIFEST, **sections})


def test_a_directory_that_no_daemon_made(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="to_be_processed"):
        check_queue(Queue(tmp_path, 1.0), MANIFEST)


def test_what_the_daemon_does_anyhow_is_no_obstacle(queue: Queue) -> None:
    check_queue(queue, MANIFEST)
