# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook export, with what the role hands to the module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support.exporting import names_in
from ansible_collections.hypersdk.hyper2kvm.tests.support.playbook import (
    Outcome,
    connection,
    run_playbook,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim


@pytest.fixture
def variables(small_vcenter: Vcsim, conversion_python: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        **connection(small_vcenter),
        "migrate_directory": str(tmp_path),
        "migrate_python_interpreter": str(conversion_python),
    }


def export(host: str, variables: dict[str, Any], run: Path) -> Outcome:
    return run_playbook("hypersdk.hyper2kvm.export", run, hosts=[host], variables=variables)


def test_a_compressed_ova_is_exported_without_a_manifest(
    small_vcenter: Vcsim, variables: dict[str, Any], tmp_path: Path
) -> None:
    variables |= {"migrate_format": "ova", "migrate_compress": "true"}
    refused = export("small01", variables, tmp_path / "refused")
    assert refused.returncode != 0
    assert "set migrate_manifest to false" in refused.output
    assert small_vcenter.status()["leases"] == []

    exported = export("small01", {**variables, "migrate_manifest": "false"}, tmp_path / "exported")
    assert exported.returncode == 0, exported.output
    assert "small01.ova.gz" in names_in(tmp_path / "small01")
    assert "artifact-manifest.json" not in names_in(tmp_path / "small01")


def test_a_vm_is_exported_as_it_runs(
    small_vcenter: Vcsim, variables: dict[str, Any], tmp_path: Path
) -> None:
    exported = export(
        "live01", {**variables, "migrate_snapshot": {"create": True}}, tmp_path / "run"
    )
    assert exported.returncode == 0, exported.output
    assert "live01-disk1.vmdk" in names_in(tmp_path / "live01")
    (vm,) = (vm for vm in small_vcenter.status()["vms"] if vm["name"] == "live01")
    assert (vm["power_state"], vm["snapshots"]) == ("poweredOn", [])


def test_a_vm_that_was_shut_down_runs_again_when_its_export_fails(
    small_vcenter: Vcsim, variables: dict[str, Any], tmp_path: Path
) -> None:
    small_vcenter.set_faults([{"kind": "call_fails", "method": "ExportVm", "fault": "SystemError"}])
    variables |= {"migrate_power_off": True, "migrate_restart_on_failure": True}
    assert export("live01", variables, tmp_path / "run").returncode != 0
    (vm,) = (vm for vm in small_vcenter.status()["vms"] if vm["name"] == "live01")
    assert vm["power_state"] == "poweredOn"
