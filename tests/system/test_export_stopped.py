# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An export that is ended in the middle, or is in another's way: what is left, and the next run."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support.exporting import (
    SLOW,
    digests_in,
    export,
    launch,
    lease_ends,
    names_in,
    recorded,
    source_digests,
    start,
    warnings_of,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim
from ansible_collections.hypersdk.hyper2kvm.tests.support.waiting import wait_for

COMPLETE = ["export.json", "small01-disk1.vmdk", "small01-disk2.vmdk", "small01.mf", "small01.ovf"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_abort_the_lease(small_vcenter: Vcsim, tmp_path: Path, number: int) -> None:
    small_vcenter.set_faults([SLOW])
    process = start(small_vcenter, tmp_path)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    result = json.loads(stdout)
    assert result["failed"] and f"Stopped by {signal.Signals(number).name}" in result["msg"]
    assert "Traceback" not in stderr
    assert lease_ends(small_vcenter) == ["aborted"]
    assert [name for name in names_in(tmp_path) if name.endswith(".part")] == []


def test_a_snapshot_that_was_being_made_goes_too(small_vcenter: Vcsim, tmp_path: Path) -> None:
    slow = {"kind": "call_slow", "method": "CreateSnapshot_Task", "seconds": 3}
    small_vcenter.set_faults([slow])
    process = launch(small_vcenter, tmp_path, name="live01", snapshot={"create": True})
    wait_for(lambda: small_vcenter.status()["faults"][0]["applied"], seconds=60)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert "Stopped by SIGTERM" in json.loads(stdout)["msg"]
    assert "Traceback" not in stderr
    time.sleep(4)  # until it would be there at the latest
    (vm,) = (vm for vm in small_vcenter.status()["vms"] if vm["name"] == "live01")
    assert vm["snapshots"] == []


def test_after_kill_9_the_next_run_goes_on(
    small_vcenter: Vcsim, small_inventory: dict[str, Any], tmp_path: Path
) -> None:
    kill_with_one_disk_finished(small_vcenter, tmp_path)
    assert "small01-disk1.vmdk.part" in names_in(tmp_path)
    result = export(small_vcenter, tmp_path)
    assert result.get("changed") is True, result
    assert result["bytes_transferred"] == result["disks"][0]["size"]
    assert digests_in(tmp_path) == source_digests(small_inventory)
    assert names_in(tmp_path) == COMPLETE


def test_after_kill_9_verify_looks_into_what_is_kept(
    small_vcenter: Vcsim, small_inventory: dict[str, Any], tmp_path: Path
) -> None:
    kill_with_one_disk_finished(small_vcenter, tmp_path)
    with (tmp_path / "small01-disk2.vmdk").open("r+b") as disk:
        disk.seek(1000)
        disk.write(b"rotten")
    leftover = tmp_path / "work" / "disk-1.raw.part"
    leftover.parent.mkdir()
    leftover.touch()
    result = export(small_vcenter, tmp_path, verify=True)
    assert result["bytes_transferred"] == sum(disk["size"] for disk in result["disks"])
    assert "small01-disk2.vmdk" in warnings_of(result)[0]
    assert digests_in(tmp_path) == source_digests(small_inventory)
    assert not leftover.exists()


@pytest.mark.parametrize("resume", [True, False])
def test_after_kill_9_a_changed_vm_is_fetched_whole(
    small_vcenter: Vcsim, tmp_path: Path, resume: bool
) -> None:
    """A VM that is the same is so too, where that is asked for."""
    kill_with_one_disk_finished(small_vcenter, tmp_path)
    if resume:
        small_vcenter.touch("small01")
    result = export(small_vcenter, tmp_path, resume=resume)
    assert result["bytes_transferred"] == sum(disk["size"] for disk in result["disks"])


def kill_with_one_disk_finished(vcenter: Vcsim, dest: Path) -> None:
    """Kill an export when its second disk is on record; then vCenter is quick again."""
    vcenter.set_faults([SLOW])
    process = start(vcenter, dest)
    wait_for(lambda: recorded(dest) == ["small01-disk2.vmdk"], seconds=60)
    process.kill()
    process.communicate(timeout=30)
    vcenter.set_faults([])


def test_two_at_once_into_one_directory(small_vcenter: Vcsim, tmp_path: Path) -> None:
    small_vcenter.set_faults([SLOW])
    process = start(small_vcenter, tmp_path)
    try:
        started = time.monotonic()
        second = export(small_vcenter, tmp_path)
        assert second["failed"] and "Another export into" in second["msg"]
        assert time.monotonic() - started < 20
    finally:
        process.terminate()
        process.communicate(timeout=30)
