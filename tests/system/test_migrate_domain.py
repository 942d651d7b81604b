# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role's entry points define and rollback, with a real libvirtd, against the simulator.

The VM's disks are a tiny guest's; its conversion is recorded as
hyper2kvm_convert does, since what is under test begins where that ends.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support import boot_sector
from ansible_collections.hypersdk.hyper2kvm.tests.support.libvirtd import Libvirtd
from ansible_collections.hypersdk.hyper2kvm.tests.support.playbook import (
    Outcome,
    connection,
    run_playbook,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim

VM = "small01"


@pytest.fixture
def libvirtd(tmp_path: Path) -> Iterator[Libvirtd]:
    with Libvirtd(tmp_path / "libvirtd") as daemon:
        daemon.add_network("lan", 1)
        daemon.add_pool("images")
        yield daemon


@pytest.fixture
def variables(
    small_vcenter: Vcsim, libvirtd: Libvirtd, conversion_python: Path, tmp_path: Path
) -> dict[str, Any]:
    return {
        **connection(small_vcenter),
        "migrate_directory": str(tmp_path / "migration"),
        "migrate_python_interpreter": str(conversion_python),
        "migrate_libvirt_uri": libvirtd.uri,
        "migrate_power_off": True,
        "migrate_network_map": {"*": "lan"},
        "migrate_storage_pool": "images",
        # Text, as -e NAME=true on the command line makes it.
        "migrate_boot_check": "false",
        "migrate_define": "true",
        "migrate_start": "true",
        "migrate_autostart": "true",
    }


def run(
    variables: dict[str, Any], place: Path, *entries: str, check: bool = False, **more: Any
) -> Outcome:
    tasks = [
        {"ansible.builtin.import_role": {"name": "hypersdk.hyper2kvm.migrate", "tasks_from": entry}}
        for entry in entries
    ]
    play = {"hosts": VM, "gather_facts": False, "tasks": tasks}
    return run_playbook(
        [play],
        place / "run" / f"{'-'.join(entries)}-{check}",
        hosts=[VM],
        variables={**variables, **more},
        check=check,
    )


def digests(directory: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.iterdir()
        if path.suffix in (".vmdk", ".ovf", ".mf") or path.name == "artifact-manifest.json"
    }


def convert(directory: Path) -> Path:
    """Leave what hyper2kvm_convert leaves, with a guest that runs."""
    out = directory / "out"
    out.mkdir()
    document = json.loads((directory / "artifact-manifest.json").read_text())
    outputs = []
    for disk in document["disks"]:
        raw = boot_sector.disk(out / "guest.raw", "\r\nmigrated login: ")
        image = out / f"{disk['id']}.qcow2"
        subprocess.run(
            ["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", raw, image], check=True
        )
        raw.unlink()
        outputs.append({"id": disk["id"], "path": str(image)})
    (out / "conversion.json").write_text(json.dumps({"outputs": outputs}))
    return out


def test_defined_started_left_alone_and_rolled_back(
    variables: dict[str, Any], small_vcenter: Vcsim, libvirtd: Libvirtd, tmp_path: Path
) -> None:
    exported = run(variables, tmp_path, "export")
    assert exported.returncode == 0, exported.output
    directory = tmp_path / "migration" / VM
    out = convert(directory)
    evidence = digests(directory)
    images = {path.name for path in out.glob("*.qcow2")}
    leases = len(small_vcenter.status()["leases"])

    planned = run(variables, tmp_path, "define", check=True)
    assert planned.returncode == 0, planned.output
    assert planned.changed() > 0
    assert libvirtd.virsh("list", "--all", "--name").split() == []

    defined = run(variables, tmp_path, "define")
    assert defined.returncode == 0, defined.output
    stage = defined.result(VM)["stages"]["define"]
    assert (stage["changed"], stage["started"], stage["name"]) == (True, True, VM)
    assert libvirtd.virsh("domstate", VM).strip() == "running"
    assert libvirtd.virsh("list", "--all", "--autostart", "--name").split() == [VM]
    assert not list(out.glob("*.qcow2"))
    report = (directory / "domain-report.txt").read_text()
    assert f"domain {VM} at {libvirtd.uri}, started" in report

    # All of it again: the guest's disks are not converted anew, and vCenter is not asked.
    again = run(variables, tmp_path, "main")
    assert again.returncode == 0, again.output
    assert again.changed() == 0
    assert list(again.result(VM)["stages"]) == ["define"]
    assert len(small_vcenter.status()["leases"]) == leases

    for entry in ("convert", "boot_check"):
        refused = run(variables, tmp_path, entry)
        assert refused.returncode != 0
        assert "run the entry point rollback first" in refused.output

    undone = run(variables, tmp_path, "rollback", migrate_rollback_power_on_source="true")
    assert undone.returncode == 0, undone.output
    assert undone.result(VM)["stages"]["rollback"]["source_started"] is True
    assert libvirtd.virsh("list", "--all", "--name").split() == []
    assert {path.name for path in out.glob("*.qcow2")} == images
    assert digests(directory) == evidence
    once_more = run(variables, tmp_path, "rollback", migrate_rollback_power_on_source="true")
    assert (once_more.returncode, once_more.changed()) == (0, 0)


def test_a_network_without_a_counterpart_is_named(
    variables: dict[str, Any], libvirtd: Libvirtd, tmp_path: Path
) -> None:
    assert run(variables, tmp_path, "export").returncode == 0
    directory = tmp_path / "migration" / VM
    convert(directory)
    networks = {
        nic["network"]
        for nic in json.loads((directory / "artifact-manifest.json").read_text())["nics"]
    }
    outcome = run(variables, tmp_path, "define", migrate_network_map={})
    assert outcome.returncode != 0
    message = outcome.result(VM)["message"]
    assert all(repr(network) in message for network in networks)
    assert outcome.result(VM)["stage"] == "define"
    assert libvirtd.virsh("list", "--all", "--name").split() == []


def test_libvirt_is_reached_before_a_vm_is_exported(
    variables: dict[str, Any], small_vcenter: Vcsim, tmp_path: Path
) -> None:
    nowhere = f"qemu:///system?socket={tmp_path}/none"
    refused = run(variables, tmp_path, "main", migrate_libvirt_uri=nowhere)
    assert refused.returncode != 0
    assert f"{tmp_path}/none" in refused.output
    assert small_vcenter.status()["leases"] == []
