# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run vsphere_ovf_export against the test vCenter, as a process of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim


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


def source_digests(inventory: Mapping[str, Any], name: str = "small01") -> list[str]:
    """Return the digests of the files that the simulator serves as a VM's disks."""
    (vm,) = (entry for entry in inventory["vms"] if entry["name"] == name)
    return [sha256(Path(disk["path"])) for disk in vm["disks"]]
