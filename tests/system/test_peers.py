# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Three programs export the same VM from the same vCenter: the disks are the same bytes."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.tests.support import golang
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module
from ansible_collections.hypersdk.hyper2kvm.tests.support.playbook import run_playbook
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim

VM = "small01"


def digests(directory: Path) -> list[str]:
    """Return the digests of the VMDKs of an export, in no order that depends on their names."""
    return sorted(
        hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.rglob("*.vmdk")
    )


def served(inventory: dict[str, Any]) -> list[str]:
    """Return the digests of the files that the simulator serves for the VM."""
    disks = next(vm["disks"] for vm in inventory["vms"] if vm["name"] == VM)
    return sorted(hashlib.sha256(Path(disk["path"]).read_bytes()).hexdigest() for disk in disks)


def test_ours(small_vcenter: Vcsim, small_inventory: dict[str, Any], tmp_path: Path) -> None:
    result = run_module(
        "vsphere_ovf_export",
        {
            "hostname": small_vcenter.hostname,
            "port": small_vcenter.port,
            "username": small_vcenter.username,
            "password": small_vcenter.password,
            "ca_path": str(small_vcenter.ca_path),
            "name": VM,
            "dest": str(tmp_path / VM),
        },
    )
    assert not result.get("failed"), result
    assert digests(tmp_path) == served(small_inventory)


def test_community_vmware(
    small_vcenter: Vcsim,
    small_inventory: dict[str, Any],
    peer_collections: Path,
    tmp_path: Path,
) -> None:
    export = {
        "hostname": small_vcenter.hostname,
        "port": small_vcenter.port,
        "username": small_vcenter.username,
        "password": small_vcenter.password,
        # It can't be given a CA.
        "validate_certs": False,
        "name": VM,
        "export_dir": str(tmp_path / "export"),
    }
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "tasks": [{"community.vmware.vmware_export_ovf": export}],
    }
    outcome = run_playbook([play], tmp_path / "runner", hosts=["localhost"], variables={})
    assert outcome.returncode == 0, outcome.output
    assert (peer_collections / "ansible_collections/community/vmware").is_dir()
    assert digests(tmp_path / "export") == served(small_inventory)


def test_govc(small_vcenter: Vcsim, small_inventory: dict[str, Any], tmp_path: Path) -> None:
    subprocess.run(
        [str(golang.programs() / "govc"), "export.ovf", "-vm", VM, "-sha", "256", str(tmp_path)],
        env={
            **os.environ,
            "GOVC_URL": f"https://{small_vcenter.hostname}:{small_vcenter.port}",
            "GOVC_USERNAME": small_vcenter.username,
            "GOVC_PASSWORD": small_vcenter.password,
            "GOVC_TLS_CA_CERTS": str(small_vcenter.ca_path),
            "GOVC_PERSIST_SESSION": "false",
        },
        check=True,
        timeout=300,
    )
    assert digests(tmp_path) == served(small_inventory)
