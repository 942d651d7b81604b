# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run vsphere_ovf_export against the test vCenter, as a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import (
    COLLECTIONS_ROOT,
    run_module,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim
from ansible_collections.hypersdk.hyper2kvm.tests.support.waiting import wait_for

# A fault of the test vCenter: the first disk takes long enough to be caught in the middle.
SLOW = {"kind": "throttle", "file": 0, "bytes_per_second": 400_000}


def options(vcenter: Vcsim, dest: Path, **more: Any) -> dict[str, Any]:
    """Return the module's options for the VM small01 of this vCenter."""
    selection = {} if {"uuid", "moid"} & set(more) else {"name": "small01"}
    return {
        "hostname": vcenter.hostname,
        "port": vcenter.port,
        "username": vcenter.username,
        "password": vcenter.password,
        "ca_path": vcenter.ca_path,
        "dest": str(dest),
        **selection,
        **more,
    }


def export(
    vcenter: Vcsim, dest: Path, *, check: bool = False, diff: bool = False, **more: Any
) -> dict[str, Any]:
    """Run the module and return its result."""
    return run_module(
        "vsphere_ovf_export", options(vcenter, dest, **more), check=check, diff=diff, timeout=300
    )


def start(vcenter: Vcsim, dest: Path) -> subprocess.Popen[str]:
    """Start the module and return when its first disk is under way."""
    process = launch(vcenter, dest)
    part = dest / "small01-disk1.vmdk.part"
    wait_for(lambda: part.exists() and part.stat().st_size > 0, seconds=60)
    return process


def launch(vcenter: Vcsim, dest: Path, **more: Any) -> subprocess.Popen[str]:
    """Start the module, as Ansible does, and return at once."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "ansible_collections.hypersdk.hyper2kvm.plugins.modules.vsphere_ovf_export",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(COLLECTIONS_ROOT)},
    )
    assert process.stdin
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": options(vcenter, dest, **more)}))
    process.stdin.close()
    process.stdin = None
    return process


def warnings_of(result: Mapping[str, Any]) -> list[str]:
    """Return a module's warnings as text; since ansible-core 2.19 they travel as events."""
    return [
        entry if isinstance(entry, str) else str(entry["event"]["msg"])
        for entry in result.get("warnings", [])
    ]


def sha256(path: Path) -> str:
    """Return the digest of a file as the module writes it."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def lease_ends(vcenter: Vcsim) -> list[str]:
    """Return how each lease ended: completed, aborted, expired or not at all."""
    return [lease["end"] for lease in vcenter.status()["leases"]]


def names_in(directory: Path) -> list[str]:
    """Return the files that a person would see in a directory, sorted."""
    return sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))


def digests_in(dest: Path) -> list[str]:
    """Return the digests of the disks of an export of small01."""
    return [sha256(dest / "small01-disk1.vmdk"), sha256(dest / "small01-disk2.vmdk")]


def recorded(dest: Path) -> list[str]:
    """Return the files that an export has on record as finished."""
    try:
        record = json.loads((dest / "export.json").read_text())
    except OSError:
        return []
    return [file["name"] for file in record["files"]]


def source_digests(inventory: Mapping[str, Any], name: str = "small01") -> list[str]:
    """Return the digests of the files that the simulator serves as a VM's disks."""
    (vm,) = (entry for entry in inventory["vms"] if entry["name"] == name)
    return [sha256(Path(disk["path"])) for disk in vm["disks"]]
