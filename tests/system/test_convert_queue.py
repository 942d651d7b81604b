# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""mode: queue with hyper2kvm's real daemon, which runs in the sandbox: jobs that fail.

One that succeeds is in test_guest_configuration.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support import daemon, exported

pytestmark = pytest.mark.emulated


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return tmp_path / "images"


def test_a_job_that_the_daemon_fails(
    hyper2kvm_executable: Path, tmp_path: Path, images: Path
) -> None:
    """A disk without a system; the daemon's own reason comes through."""
    disk = tmp_path / "empty.raw"
    with disk.open("wb") as file:
        file.truncate(8 << 20)
    vm = exported.make(images / "web01", [disk])
    with daemon.running(hyper2kvm_executable, tmp_path / "daemon", images=images) as queue:
        result = daemon.convert(vm.manifest, hyper2kvm_executable, queue)
        assert result["failed"] is True
        assert "hyper2kvm's daemon failed: " in result["msg"]
        assert daemon.files_of(queue) == ["failed/*.json", "failed/*.json.error.json"]
    assert vm.is_untouched()
    assert list(vm.out.glob("disk-*")) == []


def test_no_daemon_runs(hyper2kvm_executable: Path, tmp_path: Path, images: Path) -> None:
    disk = tmp_path / "empty.raw"
    with disk.open("wb") as file:
        file.truncate(8 << 20)
    vm = exported.make(images / "web01", [disk])
    with daemon.running(hyper2kvm_executable, tmp_path / "daemon", images=images) as queue:
        pass
    result = daemon.convert(vm.manifest, hyper2kvm_executable, queue, queue_timeout=3)
    assert result["failed"] is True
    assert "No daemon of hyper2kvm took the job" in result["msg"]
    assert daemon.files_of(queue) == []
    assert vm.is_untouched()


def test_a_daemon_at_work_at_the_time_out_keeps_its_disk(
    hyper2kvm_executable: Path, tmp_path: Path, images: Path
) -> None:
    disk = tmp_path / "empty.raw"
    with disk.open("wb") as file:
        file.truncate(8 << 20)
    vm = exported.make(images / "web01", [disk])
    with daemon.running(hyper2kvm_executable, tmp_path / "daemon", images=images) as queue:
        result = daemon.convert(vm.manifest, hyper2kvm_executable, queue, timeout=6)
        assert result["failed"] is True
        assert "still at work" in result["msg"]
        assert result["kept"] == str(vm.directory / "work")
        assert (vm.directory / "work" / "disk-0.raw").exists()
        again = daemon.convert(vm.manifest, hyper2kvm_executable, queue)
        assert "the job of an earlier run" in again["msg"]
