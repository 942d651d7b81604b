# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every way in which an export is known to break: its outcome, its lease's end, what is left behind."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support.exporting import (
    SLOW,
    digests_in,
    export,
    lease_ends,
    names_in,
    recorded,
    source_digests,
    start,
    warnings_of,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim

COMPLETE = ["export.json", "small01-disk1.vmdk", "small01-disk2.vmdk", "small01.mf", "small01.ovf"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"kind": "drop", "file": 0, "after_bytes": 0, "how": "reset"}, "broke after 0 bytes"),
        ({"kind": "drop", "file": 0, "after_percent": 1, "how": "reset"}, "broke after"),
        ({"kind": "drop", "file": 0, "after_percent": 50, "how": "reset"}, "broke after"),
        ({"kind": "drop", "file": 0, "after_percent": 99, "how": "close"}, "broke after"),
        ({"kind": "truncate", "file": 0, "after_percent": 50}, "ends early"),
        ({"kind": "truncate", "file": 1, "after_percent": 50}, "ends early"),
        ({"kind": "truncate", "file": 0, "after_percent": 99, "manifest": "sent"}, "ends early"),
        ({"kind": "flip", "file": 0, "offset": 3_000_000, "manifest": "original"}, "digest"),
        ({"kind": "status", "file": 0, "code": 503, "retry_after": 2}, "answered 503"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, Mapping) else "",
)
def test_what_passes_is_survived(
    small_vcenter: Vcsim,
    small_inventory: dict[str, Any],
    tmp_path: Path,
    fault: dict[str, Any],
    said: str,
) -> None:
    """Once broken, fetched anew: the same bytes, one lease, nothing left over."""
    small_vcenter.set_faults([{**fault, "count": 1}])
    result = export(small_vcenter, tmp_path)
    assert result.get("changed") is True, result
    assert any(said in warning for warning in warnings_of(result)), warnings_of(result)
    assert digests_in(tmp_path) == source_digests(small_inventory)
    assert names_in(tmp_path) == COMPLETE
    assert lease_ends(small_vcenter) == ["completed"]


@pytest.mark.parametrize("place", [{"after_bytes": 0}, {"after_percent": 50}], ids=["0", "50"])
def test_a_stall_is_a_broken_connection(
    small_vcenter: Vcsim, small_inventory: dict[str, Any], tmp_path: Path, place: dict[str, int]
) -> None:
    small_vcenter.set_faults([{"kind": "stall", "file": 0, **place, "seconds": 60, "count": 1}])
    started = time.monotonic()
    result = export(small_vcenter, tmp_path, stall_timeout=2)
    assert result.get("changed") is True, result
    assert time.monotonic() - started < 30
    assert any("2 s" in warning for warning in warnings_of(result)), warnings_of(result)
    assert digests_in(tmp_path) == source_digests(small_inventory)
    assert names_in(tmp_path) == COMPLETE
    assert lease_ends(small_vcenter) == ["completed"]


def test_503_twice_then_fine(small_vcenter: Vcsim, tmp_path: Path) -> None:
    small_vcenter.set_faults([{"kind": "status", "file": 1, "code": 503, "count": 2}])
    result = export(small_vcenter, tmp_path)
    assert result.get("changed") is True, result
    assert len(warnings_of(result)) == 2


def test_flipped_byte_is_found_by_the_decoder(
    small_vcenter: Vcsim, small_inventory: dict[str, Any], tmp_path: Path
) -> None:
    """Where the host offers no digest, the grain's own checksum tells."""
    small_vcenter.set_faults(
        [
            {"kind": "flip", "file": 0, "offset": 3_000_000, "count": 1},
            {"kind": "manifest_unsupported"},
        ]
    )
    result = export(small_vcenter, tmp_path, working_copies=True)
    assert result.get("changed") is True, result
    assert any("damaged at byte" in warning for warning in warnings_of(result))
    assert digests_in(tmp_path) == source_digests(small_inventory)


def test_what_stays_broken_fails_with_the_reason(small_vcenter: Vcsim, tmp_path: Path) -> None:
    small_vcenter.set_faults(
        [{"kind": "flip", "file": 1, "offset": 100_000, "manifest": "original"}]
    )
    result = export(small_vcenter, tmp_path / "small01")
    assert result["failed"]
    assert "small01-disk2.vmdk arrived 3 times with another digest" in result["msg"]
    assert lease_ends(small_vcenter) == ["aborted"]
    # The sound disk is kept for the next run.
    assert names_in(tmp_path / "small01") == ["export.json", "small01-disk1.vmdk"]
    small_vcenter.set_faults([])
    again = export(small_vcenter, tmp_path / "small01")
    assert again["bytes_transferred"] == again["disks"][1]["size"]


def test_a_failure_elsewhere_lets_no_damaged_disk_pass(
    small_vcenter: Vcsim, small_inventory: dict[str, Any], tmp_path: Path
) -> None:
    """The one disk arrives damaged, then the other one's transfer fails for good."""
    small_vcenter.set_faults(
        [
            {"kind": "flip", "file": 0, "offset": 3_000_000, "manifest": "original"},
            {"kind": "wrong_certificate", "file": 1},
        ]
    )
    result = export(small_vcenter, tmp_path, parallel=1)
    assert result["failed"] and "showed a certificate" in result["msg"], result
    assert recorded(tmp_path) == [] and "small01-disk1.vmdk" not in names_in(tmp_path)
    small_vcenter.set_faults([])
    assert export(small_vcenter, tmp_path)["changed"] is True
    assert digests_in(tmp_path) == source_digests(small_inventory)


@pytest.mark.parametrize("how", ["expire", "session"])
def test_a_lost_lease_is_replaced(
    small_vcenter: Vcsim, small_inventory: dict[str, Any], tmp_path: Path, how: str
) -> None:
    lost: dict[str, Any] = (
        {"kind": "lease_expire", "file": 0, "after_percent": 40, "count": 1}
        if how == "expire"
        else {
            "kind": "session_lost",
            "file": 0,
            "after_percent": 40,
            "leases": "lost",
            "count": 1,
        }
    )
    small_vcenter.set_faults([lost, {**SLOW, "count": 1}])
    result = export(small_vcenter, tmp_path)
    assert result.get("changed") is True, result
    assert any("Asking for a new" in warning for warning in warnings_of(result))
    assert digests_in(tmp_path) == source_digests(small_inventory)
    ends = lease_ends(small_vcenter)
    assert len(ends) == 2 and ends[-1] == "completed", ends


def test_another_task_with_the_vm_is_waited_for(small_vcenter: Vcsim, tmp_path: Path) -> None:
    """Such as the lease of an export that was killed, until it expires."""
    busy = {"kind": "call_fails", "method": "ExportVm", "fault": "TaskInProgress", "count": 2}
    small_vcenter.set_faults([busy])
    result = export(small_vcenter, tmp_path)
    assert result.get("changed") is True, result
    assert len([each for each in warnings_of(result) if "at another task" in each]) == 1


def test_a_report_that_vcenter_refuses_once_is_made_again(
    small_vcenter: Vcsim, tmp_path: Path
) -> None:
    refusal = {"method": "HttpNfcLeaseProgress", "fault": "SystemError", "count": 1}
    small_vcenter.set_faults([{"kind": "call_fails", **refusal}, {**SLOW, "count": 1}])
    result = export(small_vcenter, tmp_path)
    assert result.get("changed") is True, result
    assert small_vcenter.status()["faults"][0]["applied"] == 1
    assert lease_ends(small_vcenter) == ["completed"]


def test_the_snapshot_goes_although_the_session_has_ended(
    small_vcenter: Vcsim, tmp_path: Path
) -> None:
    small_vcenter.set_faults(
        [{"kind": "session_lost", "method": "HttpNfcLeaseComplete", "count": 1}]
    )
    result = export(small_vcenter, tmp_path, name="live01", snapshot={"create": True})
    assert result.get("changed") is True, result
    (vm,) = (vm for vm in small_vcenter.status()["vms"] if vm["name"] == "live01")
    assert vm["snapshots"] == [], warnings_of(result)


def test_a_vm_that_changes_without_its_lease_is_not_taken_for_the_same(
    small_vcenter: Vcsim, small_inventory: dict[str, Any], tmp_path: Path
) -> None:
    expiry = {"kind": "lease_expire", "file": 0, "after_percent": 60, "count": 1}
    small_vcenter.set_faults([expiry, {**SLOW, "count": 1}])
    process = start(small_vcenter, tmp_path)
    small_vcenter.touch("small01")
    result = json.loads(process.communicate(timeout=60)[0])
    assert result["failed"] and "small01 may have changed" in result["msg"], result
    small_vcenter.set_faults([])
    again = export(small_vcenter, tmp_path)
    assert again["bytes_transferred"] == sum(disk["size"] for disk in again["disks"])
    assert digests_in(tmp_path) == source_digests(small_inventory)


def test_a_short_lease_is_kept_alive(small_inventory: dict[str, Any], tmp_path: Path) -> None:
    with Vcsim(small_inventory, [SLOW], lease_timeout=3) as vcenter:
        result = export(vcenter, tmp_path)
        assert result.get("changed") is True, result
        assert result["duration"] > 6
        assert lease_ends(vcenter) == ["completed"]
        (lease,) = vcenter.status()["leases"]
        percents = [report["percent"] for report in lease["progress"]]
        assert percents == sorted(percents) and percents[-1] == 100
        assert len(percents) > 5


def test_wrong_certificate_of_a_host_is_refused(small_vcenter: Vcsim, tmp_path: Path) -> None:
    small_vcenter.set_faults([{"kind": "wrong_certificate", "file": 1}])
    result = export(small_vcenter, tmp_path / "small01")
    assert result["failed"] and "showed a certificate with the thumbprint" in result["msg"]
    assert lease_ends(small_vcenter) == ["aborted"]
    assert not (tmp_path / "small01" / "small01-disk2.vmdk").exists()
    unchecked = export(small_vcenter, tmp_path / "small01", validate_certs=False)
    assert unchecked.get("changed") is True, unchecked


EVIL = ["../../../etc/passwd", "/etc/passwd", "a\nb\x07.vmdk"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("target_id", name) for name in EVIL),
        *(("url_name", name) for name in EVIL),
        ("target_id", "disk-1.vmdk"),  # the other disk's
    ],
)
def test_evil_names_touch_nothing(
    small_vcenter: Vcsim, small_inventory: dict[str, Any], tmp_path: Path, kind: str, name: str
) -> None:
    dest = tmp_path / "a" / "b" / "small01"
    small_vcenter.set_faults([{"kind": kind, "file": 0, "value": name}])
    result = export(small_vcenter, dest)
    assert result.get("changed") is True or result.get("failed"), result
    if result.get("changed"):
        assert digests_in(dest) == source_digests(small_inventory)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.parent != dest] == []


def test_star_and_unresolvable_hosts(small_vcenter: Vcsim, tmp_path: Path) -> None:
    small_vcenter.set_faults([{"kind": "star_host"}])
    assert export(small_vcenter, tmp_path / "star").get("changed") is True
    small_vcenter.set_faults([{"kind": "host_name", "value": "esxi-01.example.invalid"}])
    mapped = export(
        small_vcenter, tmp_path / "mapped", host_map={"esxi-01.example.invalid": "127.0.0.1"}
    )
    assert mapped.get("changed") is True, mapped


def test_disk_full_in_the_middle(small_vcenter: Vcsim, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(full)], check=True)
    try:
        result = export(small_vcenter, full / "small01", check_space=False, parallel=1)
        assert result["failed"]
        assert "has no room for small01-disk1.vmdk" in result["msg"]
        assert lease_ends(small_vcenter) == ["aborted"]
        assert names_in(full / "small01") == []
    finally:
        subprocess.run(["umount", str(full)], check=True)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("small01-disk1.vmdk", {}),
        ("small01.ovf", {}),
        ("small01.mf", {}),
        ("export.json", {}),
        ("work", {"working_copies": True}),
        ("small01.ova", {"format": "ova"}),
        ("old.part", {}),
    ],
)
def test_a_file_that_cannot_be_written_is_named(
    small_vcenter: Vcsim, tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    """Not the connection is at fault; what stands in the way is told, and stays."""
    obstacle = tmp_path / name
    if name == "work":
        obstacle.write_text("a file where a directory is to be")
    else:
        (obstacle / "full").mkdir(parents=True)
    result = export(small_vcenter, tmp_path, **options)
    assert result["failed"] and f"{obstacle} can't be used: " in result["msg"], result
    assert obstacle.exists()
    assert "completed" not in lease_ends(small_vcenter) or name == "small01.ova"


def test_descriptor_that_fails_aborts(small_vcenter: Vcsim, tmp_path: Path) -> None:
    small_vcenter.set_faults(
        [{"kind": "create_descriptor", "message": "no OVF today", "how": "errors"}]
    )
    result = export(small_vcenter, tmp_path)
    assert result["failed"] and "no OVF today" in result["msg"]
    assert lease_ends(small_vcenter) == ["aborted"]
    assert not (tmp_path / "small01.ovf").exists()


def test_a_failed_export_starts_the_vm_again(small_vcenter: Vcsim, tmp_path: Path) -> None:
    small_vcenter.set_faults([{"kind": "create_descriptor", "message": "no OVF today"}])
    result = export(small_vcenter, tmp_path, name="live01", power_off=True, restart_on_failure=True)
    assert result["failed"]
    (vm,) = (vm for vm in small_vcenter.status()["vms"] if vm["name"] == "live01")
    assert vm["power_state"] == "poweredOn"


def test_a_restart_that_vcenter_refuses_hides_nothing(small_vcenter: Vcsim, tmp_path: Path) -> None:
    refusal = {"kind": "call_fails", "method": "PowerOnVM_Task", "fault": "TaskInProgress"}
    small_vcenter.set_faults([{"kind": "create_descriptor", "message": "no OVF today"}, refusal])
    result = export(small_vcenter, tmp_path, name="live01", power_off=True, restart_on_failure=True)
    assert "no OVF today" in result["msg"], result
    assert any("is still off" in warning for warning in warnings_of(result)), warnings_of(result)
