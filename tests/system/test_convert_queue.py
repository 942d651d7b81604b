# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""mode: queue with hyper2kvm's real daemon, which runs in the sandbox."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.guests import debian_bios
from ansible_collections.hypersdk.hyper2kvm.tests.support import daemon, exported
from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import cache_dir
from ansible_collections.hypersdk.hyper2kvm.tests.support.exported import Exported
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module

pytestmark = pytest.mark.emulated


def convert(vm: Exported, executable: Path, queue: Path, **options: Any) -> dict[str, Any]:
    return run_module(
        "hyper2kvm_convert",
        {
            "manifest": str(vm.manifest),
            "executable": str(executable),
            "environment": {"LIBGUESTFS_CACHEDIR": str(cache_dir("appliance"))},
            "mode": "queue",
            "queue_directory": str(queue),
            **options,
        },
        timeout=1800,
    )


def files_of(queue: Path) -> list[str]:
    """Return what lies in the queue, by its directory, but for dates and the daemon's statistics."""
    return sorted(
        f"{path.relative_to(queue).parts[0]}/*{''.join(path.suffixes)}"
        for path in queue.rglob("*.json")
        if path.parent.name != ".stats"
    )


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return tmp_path / "images"


def test_a_real_guest_is_fixed_by_the_daemon(
    hyper2kvm_executable: Path, tmp_path: Path, images: Path
) -> None:
    guest = debian_bios.build()
    vm = exported.make(images / "web01", [guest.boot_disk, guest.data_disk])
    with daemon.running(hyper2kvm_executable, tmp_path / "daemon", images=images) as queue:
        result = convert(vm, hyper2kvm_executable, queue)
        assert result.get("changed") is True, result
        assert result["mode"] == "queue"
        assert result["stages"]["fix"]["success"] is True
        assert result["fixed"] is True
        assert files_of(queue) == ["processed/*.json", "processed/*.json.report.json"]
        assert vm.is_untouched()
        # Who did it makes no difference to what was done.
        assert convert(vm, hyper2kvm_executable, queue, mode="direct")["changed"] is False
    for output in result["outputs"]:
        subprocess.run(["qemu-img", "check", "-q", output["path"]], check=True)


def test_a_job_that_the_daemon_fails(
    hyper2kvm_executable: Path, tmp_path: Path, images: Path
) -> None:
    """A disk without a system; the daemon's own reason comes through."""
    disk = tmp_path / "empty.raw"
    with disk.open("wb") as file:
        file.truncate(8 << 20)
    vm = exported.make(images / "web01", [disk])
    with daemon.running(hyper2kvm_executable, tmp_path / "daemon", images=images) as queue:
        result = convert(vm, hyper2kvm_executable, queue)
        assert result["failed"] is True
        assert "hyper2kvm's daemon failed: " in result["msg"]
        assert files_of(queue) == ["failed/*.json", "failed/*.json.error.json"]
    assert vm.is_untouched()
    assert list(vm.out.glob("disk-*")) == []


def test_no_daemon_runs(hyper2kvm_executable: Path, tmp_path: Path, images: Path) -> None:
    disk = tmp_path / "empty.raw"
    with disk.open("wb") as file:
        file.truncate(8 << 20)
    vm = exported.make(images / "web01", [disk])
    with daemon.running(hyper2kvm_executable, tmp_path / "daemon", images=images) as queue:
        pass
    result = convert(vm, hyper2kvm_executable, queue, queue_timeout=3)
    assert result["failed"] is True
    assert "No daemon of hyper2kvm took the job" in result["msg"]
    assert files_of(queue) == []
    assert vm.is_untouched()


def test_a_daemon_at_work_at_the_time_out_keeps_its_disk(
    hyper2kvm_executable: Path, tmp_path: Path, images: Path
) -> None:
    disk = tmp_path / "empty.raw"
    with disk.open("wb") as file:
        file.truncate(8 << 20)
    vm = exported.make(images / "web01", [disk])
    with daemon.running(hyper2kvm_executable, tmp_path / "daemon", images=images) as queue:
        result = convert(vm, hyper2kvm_executable, queue, timeout=6)
        assert result["failed"] is True
        assert "still at work" in result["msg"]
        assert result["kept"] == str(vm.directory / "work")
        assert (vm.directory / "work" / "disk-0.raw").exists()
        again = convert(vm, hyper2kvm_executable, queue)
        assert "the job of an earlier run" in again["msg"]
