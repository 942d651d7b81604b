# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""VMs as an export and a conversion leave them, for kvm_domain to define with a libvirtd of the tests' own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ansible_collections.hypersdk.hyper2kvm.tests.support import boot_sector
from ansible_collections.hypersdk.hyper2kvm.tests.support.libvirtd import Libvirtd
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import (
    COLLECTIONS_ROOT,
    run_module,
)

#: What each VM says on its console once it runs.
SAYS = "\r\nmigrated login: "
NETWORKS = {"VM Network": "lan", "DMZ": {"network": "dmz", "link": "down"}}


class DomainVm:
    """A VM's directory with an export and its conversion, and the module on it."""

    def __init__(self, directory: Path, libvirtd: Libvirtd, python: Path) -> None:
        self.directory = directory
        self.name = directory.name
        self.libvirtd = libvirtd
        self._python = python
        self._ansible = libvirtd.directory / "python"
        self.out = directory / "out"
        self.out.mkdir(parents=True)
        (self.out / "boot-check").mkdir()
        (self.out / "boot-check" / "console.log").write_text("evidence")
        (self.out / "report.json").write_text("{}")
        self.evidence = [self.out / "boot-check" / "console.log", self.out / "report.json"]
        outputs = []
        disks = []
        for index in range(2):
            vmdk = directory / f"{self.name}-disk{index + 1}.vmdk"
            vmdk.write_bytes(b"KDMV exported %d" % index)
            self.evidence.append(vmdk)
            raw = boot_sector.disk(self.out / f"disk-{index}.raw", SAYS)
            image = self.out / f"disk-{index}.qcow2"
            subprocess.run(
                ["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", raw, image], check=True
            )
            raw.unlink()
            outputs.append({"id": f"disk-{index}", "path": str(image)})
            disks.append(
                {
                    "id": f"disk-{index}",
                    "source_format": "vmdk",
                    "bytes": vmdk.stat().st_size,
                    "local_path": str(vmdk),
                    "boot_order_hint": 1 - index,
                }
            )
        self._outputs = outputs
        self.write_record()
        self.document: dict[str, Any] = {
            "manifest_version": "1.0",
            "source": {"provider": "vsphere", "vm_id": "vm-42", "vm_name": self.name},
            "vm": {"cpu": 2, "mem_gb": 1, "memory_mb": 64, "os_version": "debian13_64Guest"},
            "disks": disks,
            "pipeline": {"convert": {"enabled": True}},
            "nics": [
                {"id": "nic-0", "mac": "00:50:56:8a:01:02", "network": "VM Network"},
                {"id": "nic-1", "mac": "00:50:56:8a:01:03", "network": "DMZ"},
            ],
        }
        self.write_manifest()

    def write_record(self, **network: Any) -> None:
        """Leave the conversion's record, with what it read of the guest's network."""
        record = {"outputs": self._outputs, "result": {"guest": {"network": network}}}
        (self.out / "conversion.json").write_text(json.dumps(record))

    def write_manifest(self) -> None:
        path = self.directory / "artifact-manifest.json"
        path.write_text(json.dumps(self.document))
        self.evidence.append(path)

    def run(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        arguments = {
            "manifest": str(self.directory / "artifact-manifest.json"),
            "uri": self.libvirtd.uri,
            "network_map": NETWORKS,
            **options,
        }
        # libvirt's binding is the distribution's Python's; AnsiballZ would bring ansible's code.
        environment = {"PYTHONPATH": f"{COLLECTIONS_ROOT}{os.pathsep}{self._ansible}"}
        return run_module(
            "kvm_domain",
            arguments,
            check=check,
            diff=True,
            environment=environment,
            python=str(self._python),
        )

    def defined(self) -> bool:
        return self.name in self.libvirtd.virsh("list", "--all", "--name").split()

    def xml(self) -> ElementTree.Element:
        return ElementTree.fromstring(self.libvirtd.virsh("dumpxml", "--inactive", self.name))

    def digests(self) -> dict[Path, str]:
        return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in self.evidence}
