# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""vsphere_export_info against the test vCenter: which VMs, what of them, and what is in their way."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support.exporting import export, options
from ansible_collections.hypersdk.hyper2kvm.tests.support.leases import connected, find_vm
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module
from ansible_collections.hypersdk.hyper2kvm.tests.support.playbook import (
    connection,
    run_playbook,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim
from ansible_collections.hypersdk.hyper2kvm.tests.support.waiting import wait_for

QUERY = {"kind": "call_slow", "method": "RetrievePropertiesEx", "seconds": 0}


def survey(vcenter: Vcsim, **more: Any) -> dict[str, Any]:
    """Run the module and return its result."""
    arguments = options(vcenter, Path("/"), **more)
    del arguments["dest"]
    if "name" not in more:
        arguments.pop("name", None)
    return run_module("vsphere_export_info", arguments, timeout=300)


def names(result: dict[str, Any]) -> list[str]:
    return [vm["name"] for vm in result["vms"]]


def ids(vm: dict[str, Any]) -> list[tuple[str, str]]:
    return [(concern["severity"], concern["id"]) for concern in vm["concerns"]]


@pytest.fixture(scope="module")
def fleet(
    small_inventory: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Vcsim]:
    """A vCenter with VMs in several places, of which some can't be exported as they are."""
    small, live = small_inventory["vms"]
    image = tmp_path_factory.mktemp("iso") / "tools.iso"
    image.write_bytes(b"CD001" * 1000)
    boot, data = small["disks"]
    bare = {**small, "nics": [], "folder": "trouble"}
    network = {"network": "spine", "distributed": True, "mac": "00:50:56:8a:22:01"}
    with Vcsim(
        {
            "vms": [
                small,
                live,
                {**small, "name": "web02", "folder": "production/web/blue", "nics": [network]},
                {**bare, "name": "db01", "datacenter": "Zurich", "folder": "production"},
                {**bare, "name": "small01", "datacenter": "Zurich", "folder": "production"},
                {**bare, "name": "tpm01", "firmware": "efi", "secure_boot": True, "tpm": True},
                {
                    **bare,
                    "name": "raw01",
                    "disks": [boot, {**data, "mode": "independent_persistent"}],
                },
                {
                    **bare,
                    "name": "node01",
                    "disks": [boot, {**data, "sharing": "sharingMultiWriter"}],
                },
                {**bare, "name": "cd01", "cdroms": [{"path": str(image)}]},
                {**bare, "name": "bsd01", "guest_id": "freebsd14_64Guest"},
                {**bare, "name": "empty01", "disks": []},
                {**live, "name": "mute01", "tools": False, "folder": "trouble"},
            ]
        }
    ) as vcenter:
        yield vcenter


def test_it_says_what_the_export_says(small_vcenter: Vcsim, tmp_path: Path) -> None:
    for name, more in (("small01", {}), ("live01", {"power_off": True})):
        planned = export(small_vcenter, tmp_path, check=True, name=name, **more)
        (vm,) = survey(small_vcenter, name=name, **more)["vms"]
        assert vm.pop("exportable") is True
        disks = vm.pop("disks")
        assert vm.pop("concerns") == planned["concerns"]
        assert vm == planned["vm"]
        assert disks == [
            {key: value for key, value in disk.items() if key != "path"}
            for disk in planned["disks"]
        ]
        done = export(small_vcenter, tmp_path / name, name=name, **more)
        assert done["changed"] is True, done
        assert done["concerns"] == planned["concerns"]
    assert small_vcenter.status()["leases"][0]["vm"] == "small01"


def test_what_is_told_of_a_vm(small_vcenter: Vcsim) -> None:
    result = survey(small_vcenter)
    assert result["changed"] is False
    live, small = result["vms"]
    assert (small["name"], small["datacenter"], small["folder"]) == (
        "small01",
        "DC0",
        "/production/web",
    )
    assert [disk["capacity"] for disk in small["disks"]] == [8 << 20, 4 << 20]
    assert small["disks"][0]["file"] == "[LocalDS_0] small01/small01_0.vmdk"
    assert small["disks"][0]["datastore"] == "LocalDS_0"
    assert [disk["boot"] for disk in small["disks"]] == [True, False]
    assert (small["nics"][0]["mac"], small["nics"][0]["pci_slot"]) == ("00:50:56:8a:20:01", 192)
    assert small["host"].startswith("DC0_")
    assert (live["power_state"], live["tools_running"]) == ("poweredOn", True)
    assert live["nics"][0]["gateways"] == ["192.0.2.1", "2001:db8::1"]
    assert live["nics"][0]["dns_servers"] == ["192.0.2.53"]
    assert live["nics"][1]["ip_config"][0]["origin"] == "dhcp"
    assert small_vcenter.status()["leases"] == []


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"name": ["small01"]}, ["small01", "small01"]),
        ({"name": "w*"}, ["web02"]),
        ({"name": ["*0[12]"], "folder": "production", "datacenter": "DC0"}, ["small01", "web02"]),
        ({"folder": "/production/web"}, ["small01", "web02"]),
        ({"folder": "/production/web", "recurse": False}, ["small01"]),
        ({"folder": "production/we"}, []),
        ({"folder": "production", "datacenter": "Zurich"}, ["db01", "small01"]),
        ({"folder": "production", "recurse": False}, ["db01", "small01"]),
        ({"datacenter": "Zurich"}, ["db01", "small01"]),
    ],
)
def test_which_vms_are_meant(fleet: Vcsim, asked: dict[str, Any], found: list[str]) -> None:
    result = survey(fleet, **asked)
    assert names(result) == found, result
    assert result["missing"] == []


def test_by_identifier_and_what_no_vm_has(fleet: Vcsim) -> None:
    everything = {vm["name"]: vm for vm in survey(fleet)["vms"]}
    assert len(survey(fleet)["vms"]) == 12
    web, tpm, cd = (everything[name] for name in ("web02", "tpm01", "cd01"))
    assert names(survey(fleet, moid=[web["moid"], cd["moid"]])) == ["web02", "cd01"]
    assert names(survey(fleet, moid=[web["moid"]], datacenter="Zurich")) == []
    assert names(survey(fleet, uuid=[web["uuid"].upper()])) == ["web02"]
    assert names(survey(fleet, uuid=[web["uuid"], tpm["uuid"]])) == ["web02", "tpm01"]
    by_instance = {"uuid": [cd["instance_uuid"]], "use_instance_uuid": True}
    assert names(survey(fleet, **by_instance)) == ["cd01"]
    mixed = survey(fleet, name=["bsd*", "nobody", "x*"], moid=[web["moid"], "vm-99999"])
    assert names(mixed) == ["web02", "bsd01"]
    assert mixed["missing"] == ["nobody", "x*", "vm-99999"]
    assert web["nics"][0]["network"] == "spine"
    refused = survey(fleet, datacenter="Geneva")
    assert refused["failed"] and "there are: DC0, Zurich" in refused["msg"]


@pytest.mark.parametrize(
    ("name", "asked", "expected"),
    [
        ("small01", {"datacenter": "DC0"}, []),
        ("tpm01", {}, [("error", "tpm")]),
        ("raw01", {}, [("error", "disk_independent")]),
        ("node01", {}, [("error", "disk_shared")]),
        ("empty01", {}, [("error", "no_disk")]),
        ("cd01", {}, [("information", "cdrom_image")]),
        ("bsd01", {}, [("warning", "guest_unknown")]),
        ("live01", {}, [("error", "running")]),
        ("live01", {"power_off": True}, []),
        ("live01", {"through_snapshot": True}, []),
        (
            "mute01",
            {"power_off": True},
            [("error", "tools_not_running"), ("information", "addresses_unknown")],
        ),
        (
            "mute01",
            {"power_off": True, "force_power_off": True},
            [("information", "addresses_unknown")],
        ),
    ],
)
def test_what_is_in_the_way_is_what_the_export_refuses(
    fleet: Vcsim, tmp_path: Path, name: str, asked: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    (vm,) = survey(fleet, name=[name], **asked)["vms"]
    assert ids(vm) == expected
    errors = [concern for concern in vm["concerns"] if concern["severity"] == "error"]
    assert vm["exportable"] is not bool(errors)
    way = {key: value for key, value in asked.items() if key != "through_snapshot"}
    if "through_snapshot" in asked:
        way["snapshot"] = {"create": True}
    for check in (True, False) if errors else (True,):
        result = export(fleet, tmp_path / "out", name=name, check=check, **way)
        assert bool(result.get("failed")) is bool(errors), result
        assert all(concern["message"] in result["msg"] for concern in errors)
        assert [c for c in result["concerns"] if c["severity"] == "error"] == errors
    # Neither was a lease asked for nor a VM shut down for nothing.
    status = fleet.status()
    assert status["leases"] == []
    on = {each["name"] for each in status["vms"] if each["power_state"] == "poweredOn"}
    assert on == {"live01", "mute01"}


def test_vcenter_has_the_last_word_where_the_user_says_so(fleet: Vcsim, tmp_path: Path) -> None:
    asked = {"name": "raw01", "ignore_concerns": ["disk_independent"]}
    planned = export(fleet, tmp_path, check=True, **asked)
    assert planned["changed"] is True
    assert planned["concerns"][0]["id"] == "disk_independent"
    other = export(fleet, tmp_path, check=True, name="raw01", ignore_concerns=["disk_shared"])
    assert other["failed"] is True


def test_snapshots(small_vcenter: Vcsim) -> None:
    with connected(small_vcenter) as service:
        vm = find_vm(service, "small01")
        for name in ("before the update", "hypersdk-hyper2kvm-export"):
            task = vm.CreateSnapshot_Task(name=name, memory=False, quiesce=False)
            wait_for(lambda task=task: task.info.state == "success")
    (told,) = survey(small_vcenter, name="small01")["vms"]
    first, second = told["snapshots"]
    assert (first["name"], first["parent"]) == ("before the update", "")
    assert second["parent"] == first["moid"]
    assert ids(told) == [("warning", "export_snapshot_left"), ("information", "snapshots")]
    assert told["exportable"] is True


def test_many_vms_cost_no_more_queries(small_inventory: dict[str, Any]) -> None:
    """500 VMs in 10 folders: as many queries as for two, and no more than seconds."""
    small, _live = small_inventory["vms"]
    vms = [
        {**small, "name": f"vm{number:03}", "folder": f"fleet/team{number % 10}", "nics": []}
        for number in range(500)
    ]
    queries = []
    with Vcsim({"vms": vms}) as vcenter:
        for asked, count in (({"folder": "fleet/team0"}, 50), ({"folder": "fleet"}, 500)):
            vcenter.set_faults([QUERY])
            began = time.monotonic()
            result = survey(vcenter, **asked)
            seconds = time.monotonic() - began
            assert len(result["vms"]) == count, result
            queries.append(vcenter.status()["faults"][0]["applied"])
        assert seconds < 60
        assert {vm["folder"] for vm in result["vms"]} == {f"/fleet/team{n}" for n in range(10)}
    assert queries[0] == queries[1] <= 6


def test_the_playbook_preflight(fleet: Vcsim, tmp_path: Path) -> None:
    outcome = run_playbook(
        "hypersdk.hyper2kvm.preflight",
        tmp_path,
        hosts=["web01"],
        host_variables={**connection(fleet), "migrate_python_interpreter": sys.executable},
        variables={"migrate_folder": "/trouble"},
    )
    assert outcome.returncode == 0, outcome.output
    assert outcome.changed() == 0
    assert "2 of 7 VMs can be exported" in outcome.output
    assert "tpm01 (DC0/trouble), can not be exported:" in outcome.output
    assert "error: tpm01 has a virtual TPM" in outcome.output
    assert fleet.status()["leases"] == []
