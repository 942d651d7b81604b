# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.concerns import (
    DISPUTABLE,
    Way,
    concerns_of,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.facts import Vm
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.hardware import Cdrom
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.snapshot_tree import (
    OWN_NAME,
    Snapshot,
)
from ansible_collections.hypersdk.hyper2kvm.tests.unit.plugins.module_utils.export.machines import (
    disk,
    vm,
)

OFF = Way(power_off=True)
HARD = Way(power_off=True, force_power_off=True)
LIVE = Way(through_snapshot=True)


def ids(machine: Vm, way: Way = OFF) -> list[tuple[str, str]]:
    return [(concern.severity, concern.id) for concern in concerns_of(machine, way)]


def test_an_ordinary_vm_raises_none() -> None:
    assert ids(vm(disk(0), disk(1)), Way()) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"tpm": True}, ("error", "tpm")),
        ({"encrypted": True}, ("error", "encrypted")),
        ({"disks": (disk(0, encrypted=True),)}, ("error", "encrypted")),
        ({"disks": ()}, ("error", "no_disk")),
        ({"disks": (disk(0, capacity=0),)}, ("error", "disk_without_capacity")),
        ({"disks": (disk(0, mode="independent_nonpersistent"),)}, ("error", "disk_independent")),
        ({"disks": (disk(0, raw_mapping="physical"),)}, ("error", "disk_raw_mapping")),
        ({"disks": (disk(0, raw_mapping="virtual"),)}, ("warning", "disk_raw_mapping")),
        ({"disks": (disk(0, shared=True),)}, ("error", "disk_shared")),
        ({"connection_state": "inaccessible"}, ("error", "not_connected")),
        ({"consolidation_needed": True}, ("warning", "consolidation_needed")),
        ({"host_devices": ("PCI device 0",)}, ("warning", "host_device")),
        ({"guest_id": "solaris11_64Guest"}, ("warning", "guest_unknown")),
        ({"cdroms": (Cdrom("CD/DVD drive 1", "[ds1] a.iso"),)}, ("information", "cdrom_image")),
        ({"snapshots": (Snapshot("a", "snapshot-1", "", ""),)}, ("information", "snapshots")),
        (
            {"snapshots": (Snapshot(OWN_NAME, "snapshot-1", "", ""),)},
            ("warning", "export_snapshot_left"),
        ),
    ],
)
def test_each(values: dict[str, Any], expected: tuple[str, str]) -> None:
    assert ids(vm(**{"disks": (disk(0),), **values})) == [expected]


@pytest.mark.parametrize(
    ("values", "way", "expected"),
    [
        ({"power_state": "poweredOn", "tools_running": True}, Way(), ["running"]),
        ({"power_state": "poweredOn", "tools_running": True}, OFF, []),
        ({"power_state": "poweredOn"}, OFF, ["tools_not_running"]),
        ({"power_state": "poweredOn"}, HARD, []),
        ({"power_state": "poweredOn"}, LIVE, []),
        ({"power_state": "suspended"}, HARD, ["suspended"]),
    ],
)
def test_a_vm_that_runs(values: dict[str, Any], way: Way, expected: list[str]) -> None:
    found = concerns_of(vm(disk(0), **values), way)
    assert [concern.id for concern in found if concern.severity == "error"] == expected


def test_the_gravest_comes_first() -> None:
    machine = vm(
        disk(0, raw_mapping="virtual"),
        tpm=True,
        guest_id="dosGuest",
        power_state="poweredOn",
        tools_running=True,
    )
    severities = [severity for severity, _id in ids(machine, Way())]
    assert severities == ["error", "error", "warning", "warning", "information"]


def test_what_may_be_disputed_are_errors_that_there_are() -> None:
    everything = vm(
        disk(0, shared=True, mode="independent_persistent", raw_mapping="physical"),
        tpm=True,
        encrypted=True,
    )
    assert {id_ for severity, id_ in ids(everything) if severity == "error"} == set(DISPUTABLE)
