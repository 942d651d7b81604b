# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.building import (
    defaults,
    describe,
    in_boot_order,
    mem_gb,
    merged,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.export_result import (
    read_export,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.findings import (
    ManifestError,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.model import (
    Artifacts,
    Disk,
    Machine,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.validating import validate

EXPORT = {
    "dest": "/srv/web01",
    "ovf_path": "/srv/web01/web01.ovf",
    "mf_path": "/srv/web01/web01.mf",
    "files": [],
    "disks": [
        {
            "id": f"disk-{number}",
            "path": f"/srv/web01/web01-disk{number + 1}.vmdk",
            "size": 1000 + number,
            "capacity": 8 << 20,
            "checksum": "sha256:" + f"{number}" * 64,
            "format": "vmdk",
            "label": f"Hard disk {number + 1}",
            "controller": "pvscsi",
            "bus_number": 0,
            "unit_number": number,
            "boot": number == 1,
            "boot_order": 1 - number,
        }
        for number in range(2)
    ],
    "vm": {
        "name": "web01",
        "moid": "vm-12",
        "uuid": "4201",
        "instance_uuid": "5001",
        "datacenter": "DC0",
        "folder": "/DC0/vm",
        "host": "esx1",
        "cpu": 2,
        "memory_mb": 512,
        "firmware": "efi",
        "secure_boot": True,
        "guest_id": "windows2019srv_64Guest",
        "guest_full_name": "Windows",
        "power_state": "poweredOff",
        "change_version": "7",
        "vcenter_url": "https://vcenter.example.com",
        "nics": [
            {
                "label": "Network adapter 1",
                "mac": "00:50:56:AA:BB:CC",
                "network": "VM Network",
                "adapter_type": "vmxnet3",
                "pci_slot": None,
                "addresses": [],
            }
        ],
    },
}


def changed(**vm):
    return {**EXPORT, "vm": {**EXPORT["vm"], **vm}}


def test_from_an_exports_result():
    document = describe(read_export(EXPORT))
    assert validate({**document, "pipeline": {}}) == []
    assert document["vm"] == {
        "cpu": 2,
        "mem_gb": 1,
        "memory_mb": 512,
        "firmware": "uefi",
        "secureboot": True,
        "os_hint": "windows",
        "os_version": "windows2019srv_64Guest",
    }
    assert [
        (disk["id"], disk["boot_order_hint"], disk["disk_type"], disk["controller"])
        for disk in document["disks"]
    ] == [("disk-0", 1, "data", "pvscsi0"), ("disk-1", 0, "boot", "pvscsi0")]
    # What isn't known is left out; 0 is known.
    assert document["nics"] == [
        {
            "id": "nic-0",
            "mac": "00:50:56:aa:bb:cc",
            "network": "VM Network",
            "label": "Network adapter 1",
            "adapter_type": "vmxnet3",
        }
    ]
    assert document["metadata"]["job_id"] == document["source"]["vm_id"] == "vm-12"
    assert document["metadata"]["tags"] == {
        "provider": "vsphere",
        "export_format": "ovf",
        "vcenter_url": "https://vcenter.example.com",
    }
    assert document["metadata"]["vsphere"]["change_version"] == "7"


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({}, "export.vm is missing"),
        ({**EXPORT, "disks": []}, "export.disks is empty"),
        ({**EXPORT, "dest": None}, "export.dest is missing"),
        ({**EXPORT, "disks": ["x"]}, r"export.disks\[0\] is 'x', which is not an object"),
        ({**EXPORT, "disks": [{"path": "/a"}]}, r"export.disks\[0\].size is missing"),
        (
            {**EXPORT, "disks": [{"path": "/a", "size": "big"}]},
            "'big', which is not a whole number",
        ),
        (changed(name=None), "export.vm.name is missing"),
        (changed(nics=[1]), r"export.vm.nics\[0\] is 1"),
        ({**EXPORT, "vm": "web01"}, "export.vm is 'web01', which is of the wrong type"),
    ],
)
def test_results_that_are_none(result, message):
    with pytest.raises(ManifestError, match=message):
        read_export(result)


def test_check_mode_does_not_know_sizes():
    disks = [{"path": "/srv/web01/web01-disk1.vmdk", "id": "disk-0"}]
    (disk,) = read_export({**EXPORT, "disks": disks}, check_mode=True).disks
    assert disk.size == 0


@pytest.mark.parametrize(
    ("firmware", "written"), [("bios", "bios"), ("efi", "uefi"), ("", "unknown")]
)
def test_firmware(firmware, written):
    assert describe(read_export(changed(firmware=firmware)))["vm"]["firmware"] == written


@pytest.mark.parametrize(("mib", "gib"), [(1, 1), (512, 1), (1024, 1), (1025, 2), (16384, 16)])
def test_memory_is_rounded_up(mib, gib):
    assert mem_gb(mib) == gib


def disk(number, **more):
    return Disk(path=Path(f"/d{number}"), size=1, source_format="raw", **more)


@pytest.mark.parametrize(
    ("disks", "boot_disk", "order"),
    [
        ([disk(0), disk(1), disk(2)], "", [0, 1, 2]),
        ([disk(0), disk(1, boots=True), disk(2)], "", [1, 0, 2]),
        ([disk(0, boot_order=2), disk(1, boot_order=1), disk(2, boot_order=0)], "", [2, 1, 0]),
        ([disk(0), disk(1, boot_order=30), disk(2)], "", [1, 0, 2]),
        ([disk(0, boots=True), disk(1), disk(2)], "disk-2", [1, 2, 0]),
    ],
)
def test_boot_order(disks, boot_disk, order):
    ordered = in_boot_order(disks, boot_disk)
    assert [each.id for each in ordered] == ["disk-0", "disk-1", "disk-2"]
    assert [each.boot_order for each in ordered] == order
    assert [each.boots for each in ordered] == [place == 0 for place in order]


def test_a_boot_disk_that_is_none():
    with pytest.raises(
        ManifestError, match="boot_disk is sda, and there is no disk of that id"
    ) as caught:
        in_boot_order([disk(0)], "sda")
    assert caught.value.action == "Name one of disk-0."


def test_with_a_profile_its_switches_stand():
    assert "pipeline" in defaults(Path("/srv"), {})
    assert "pipeline" not in defaults(Path("/srv"), {"profile": "mine"})


def test_merged():
    below = {"a": {"b": 1, "c": [1]}, "d": 1}
    assert merged(below, {"a": {"c": [2]}, "d": {"e": 1}}) == {
        "a": {"b": 1, "c": [2]},
        "d": {"e": 1},
    }
    assert below == {"a": {"b": 1, "c": [1]}, "d": 1}


def test_a_thousand_disks_are_built_in_100_ms():
    artifacts = Artifacts(
        "local",
        "copy",
        "disks",
        Path("/srv"),
        Machine(),
        tuple(disk(number) for number in range(1000)),
    )
    spent = []
    for _repetition in range(3):
        start = time.process_time()
        describe(artifacts)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.1
