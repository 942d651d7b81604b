# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The disk that a VM boots from is the one that hyper2kvm fixes: by boot order, or as VMware's firmware tries them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support.exporting import export
from ansible_collections.hypersdk.hyper2kvm.tests.support.hyper2kvm_loader import hyper2kvm_loads
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim


@pytest.mark.parametrize(
    ("controllers", "boot_disks", "boots"),
    [
        (("pvscsi", "pvscsi"), [], 0),
        (("pvscsi", "pvscsi"), [1], 1),
        (("pvscsi", "pvscsi"), [1, 0], 1),
        # SCSI is tried before SATA and NVMe, wherever the devices stand.
        (("sata", "pvscsi"), [], 1),
        (("nvme", "sata"), [], 1),
        (("sata", "pvscsi"), [0], 0),
    ],
)
def test_boot_disk(
    small_inventory: dict[str, Any],
    tmp_path: Path,
    controllers: tuple[str, str],
    boot_disks: list[int],
    boots: int,
) -> None:
    inventory = copy.deepcopy(small_inventory)
    vm = inventory["vms"][0]
    vm["boot_disks"] = boot_disks
    for number, (disk, controller) in enumerate(zip(vm["disks"], controllers)):
        disk.update(controller=controller, label=f"Disk {number}")
    with Vcsim(inventory) as vcenter:
        result = export(vcenter, tmp_path, name=vm["name"], manifest=True)
        assert not result.get("failed"), result
        path = Path(result["manifest_path"])
        disks = json.loads(path.read_text())["disks"]
        (boot,) = (disk for disk in disks if disk["disk_type"] == "boot")
        assert (boot["label"], boot["boot_order_hint"]) == (f"Disk {boots}", 0)
        assert boot["controller"] == f"{controllers[boots]}0"
        assert sorted(disk["boot_order_hint"] for disk in disks) == [0, 1]
        assert hyper2kvm_loads(path)["boot"] == boot["id"]
