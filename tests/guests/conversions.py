# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Convert a guest: by hyper2kvm alone, or by this collection's hyper2kvm_convert.

"Alone" is kindly done: hyper2kvm gets what it needs to work at all, writable raw
copies of the disks and the sandbox that keeps the host's disks from it. Nothing
looks at what it did.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.environment import (
    CACHE_VARIABLE,
    hyper2kvm_environment,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.installation import (
    find_installation,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.sandbox.kvm_device import kvm_works
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.sandbox.run import run
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest
from ansible_collections.hypersdk.hyper2kvm.tests.support import exported
from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import cache_dir
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module

# Emulated, and on a machine that others keep busy.
PATIENCE = 3600.0
_DOCUMENT = "converted.json"


@dataclass(frozen=True)
class Converted:
    """A conversion's images and its own word about them.

    Attributes:
        boot: The boot disk's image; it exists unless the conversion failed.
        data: The data disk's.
        said: What was claimed: "success", or why not.
        seconds: How long it took.
        result: The module's result, or hyper2kvm's report.
    """

    boot: str
    data: str
    said: str
    seconds: float
    result: dict[str, Any]

    @property
    def made(self) -> bool:
        """Whether there is something to boot."""
        return Path(self.boot).exists() and Path(self.data).exists()


def load(directory: Path) -> Converted | None:
    """Return the conversion that lies in a directory, None when there is none."""
    try:
        return Converted(**json.loads((directory / _DOCUMENT).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def alone(guest: Guest, directory: Path, executable: Path) -> Converted:
    """Convert a guest by hyper2kvm and nothing else.

    Args:
        guest: The guest.
        directory: Where; emptied first.
        executable: hyper2kvm's program.
    """
    _empty(directory)
    work, scratch, out = (directory / name for name in ("work", "scratch", "out"))
    for made in (work, scratch, out):
        made.mkdir()
    disks = []
    for number, disk in enumerate((guest.boot, guest.data)):
        copy = work / f"disk-{number}.raw"
        subprocess.run(["cp", "--sparse=always", str(disk.raw), str(copy)], check=True)
        entry = {"id": f"disk-{number}", "source_format": "raw", "bytes": disk.capacity}
        kind = "data" if number else "boot"
        disks.append(
            {**entry, "local_path": str(copy), "boot_order_hint": number, "disk_type": kind}
        )
    report = scratch / "report.json"
    document = {
        **_document(guest, disks, out),
        "options": {"report": {"enabled": True, "path": str(report)}},
    }
    manifest = scratch / "manifest.json"
    manifest.write_text(json.dumps(document, indent=2), encoding="utf-8")
    installation = find_installation(str(executable), isolation="bubblewrap")
    kvm = kvm_works()
    environment = hyper2kvm_environment(
        {"TMPDIR": str(scratch), CACHE_VARIABLE: str(cache_dir("appliance"))}, kvm=kvm
    )
    completed = run(
        [str(installation.executable), "--manifest", str(manifest)],
        writable=[work, scratch, out, Path(environment[CACHE_VARIABLE])],
        readonly=installation.directories,
        environment=environment,
        timeout=PATIENCE,
        log_path=directory / "hyper2kvm.log",
        kvm=kvm,
    )
    result = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    said = f"exit status {completed.returncode}"
    if completed.ok and result.get("pipeline", {}).get("success") is True:
        said = "success"
    shutil.rmtree(work)
    return _keep(directory, out, said, completed.seconds, result)


def ours(
    guest: Guest,
    directory: Path,
    executable: Path,
    *,
    options: Mapping[str, Any] | None = None,
    sections: Mapping[str, Any] | None = None,
) -> Converted:
    """Convert a guest by hyper2kvm_convert.

    Args:
        guest: The guest.
        directory: Where; emptied first.
        executable: hyper2kvm's program.
        options: Options of the module besides.
        sections: Sections of the manifest besides.
    """
    _empty(directory)
    document = _document(guest, [], directory)
    vm = exported.make(
        directory / guest.hostname,
        [guest.boot.vmdk, guest.data.vmdk],
        vm=document["vm"],
        nics=document["nics"],
        pipeline=document["pipeline"],
        **(sections or {}),
    )
    arguments = {
        "manifest": str(vm.manifest),
        "executable": str(executable),
        "environment": {CACHE_VARIABLE: str(cache_dir("appliance"))},
        **(options or {}),
    }
    began = time.monotonic()
    result = run_module("hyper2kvm_convert", arguments, timeout=PATIENCE)
    seconds = time.monotonic() - began
    said = str(result.get("msg", "failed")) if result.get("failed") else "success"
    if not vm.is_untouched():
        said = "the exported files were changed"
    return _keep(directory, vm.out, said, seconds, result)


def _document(guest: Guest, disks: list[dict[str, Any]], out: Path) -> dict[str, Any]:
    return {
        "manifest_version": "1.0",
        "source": {"provider": "vsphere", "vm_id": "vm-1", "vm_name": guest.hostname},
        "vm": {"cpu": guest.cpu, "mem_gb": 1, "firmware": guest.firmware, "os_hint": "linux"},
        "disks": disks,
        "nics": [
            {
                "id": f"nic-{number}",
                "mac": nic.mac,
                "network": "VM Network",
                "adapter_type": "vmxnet3",
                "pci_slot": nic.pci_slot,
            }
            for number, nic in enumerate(guest.nics)
        ],
        "pipeline": {
            "inspect": {"enabled": True, "collect_guest_info": True},
            "fix": {"enabled": True, "backup": True},
            "convert": {"enabled": True, "compress": False},
            "validate": {"enabled": True},
        },
        "output": {"directory": str(out), "format": "qcow2"},
    }


def _empty(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)


def _keep(
    directory: Path, out: Path, said: str, seconds: float, result: dict[str, Any]
) -> Converted:
    converted = Converted(
        boot=str(out / "disk-0.qcow2"),
        data=str(out / "disk-1.qcow2"),
        said=said,
        seconds=round(seconds, 1),
        result=result,
    )
    text = json.dumps(asdict(converted), indent=2) + "\n"
    temporary = directory / f"{_DOCUMENT}.{os.getpid()}"
    temporary.write_text(text, encoding="utf-8")
    temporary.rename(directory / _DOCUMENT)
    return converted
