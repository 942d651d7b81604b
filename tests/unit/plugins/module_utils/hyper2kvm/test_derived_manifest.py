# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.derived_manifest import (
    derive,
    enabled_stages,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.disks import (
    SourceDisk,
    boot_disk,
    source_disks,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.errors import (
    ConversionError,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.working_copies import (
    WorkingCopy,
)

DOCUMENT: dict[str, Any] = {
    "manifest_version": "1.0",
    "disks": [
        {
            "id": "disk-0",
            "source_format": "vmdk",
            "bytes": 3,
            "local_path": "web01-disk1.vmdk",
            "checksum": "sha256:" + "0" * 64,
            "boot_order_hint": 1,
            "disk_type": "data",
        },
        {
            "id": "disk-1",
            "source_format": "qcow2",
            "bytes": 4,
            "local_path": "web01-disk2.qcow2",
            "boot_order_hint": 0,
            "disk_type": "boot",
        },
    ],
    "nics": [{"id": "nic-0", "mac": "00:50:56:00:00:01"}],
    "profile": "production",
    "pipeline": {
        "inspect": {"enabled": False},
        "fix": {"enabled": True, "backup": True, "fstab_mode": "bypath-only"},
        "convert": {"enabled": True, "compress": True, "compress_level": 9},
    },
    "output": {"directory": "/elsewhere", "format": "qcow2"},
    "libvirt_integration": {"enabled": True},
}


@pytest.fixture
def manifest_path(tmp_path: Path) -> Path:
    (tmp_path / "web01-disk1.vmdk").write_bytes(b"abc")
    (tmp_path / "web01-disk2.qcow2").write_bytes(b"abcd")
    return tmp_path / "artifact-manifest.json"


@pytest.fixture
def derived(manifest_path: Path) -> dict[str, Any]:
    work = manifest_path.parent / "work"
    work.mkdir()
    copies = []
    for disk in source_disks(DOCUMENT, manifest_path):
        path = work / f"{disk.id}.raw"
        path.write_bytes(b"0" * 4096)
        copies.append(WorkingCopy(disk, path, 4096))
    return derive(
        DOCUMENT,
        copies,
        stages=("fix",),
        output_directory=manifest_path.parent / "out",
        target_format="raw",
        compress=False,
        report_path=work / "scratch" / "fix.json",
    )


def test_the_disks_are_the_copies(derived: dict[str, Any], manifest_path: Path) -> None:
    assert derived["disks"][0] == {
        "id": "disk-0",
        "source_format": "raw",
        "bytes": 4096,
        "local_path": str(manifest_path.parent / "work" / "disk-0.raw"),
        "boot_order_hint": 1,
        "disk_type": "data",
    }
    assert all(Path(disk["local_path"]).is_absolute() for disk in derived["disks"])
    assert [disk["boot_order_hint"] for disk in derived["disks"]] == [1, 0]


def test_only_the_stages_of_this_run_whatever_a_profile_enables(derived: dict[str, Any]) -> None:
    enabled = {name: stage["enabled"] for name, stage in derived["pipeline"].items()}
    assert enabled == {"inspect": False, "fix": True, "convert": False, "validate": False}
    assert derived["pipeline"]["fix"]["fstab_mode"] == "bypath-only"


def test_output_and_report(derived: dict[str, Any], manifest_path: Path) -> None:
    assert derived["output"] == {"directory": str(manifest_path.parent / "out"), "format": "raw"}
    assert derived["options"]["report"]["path"].endswith("work/scratch/fix.json")
    assert "libvirt_integration" not in derived
    assert derived["nics"] == DOCUMENT["nics"]


def test_compression_is_this_run_s_and_has_no_level(derived: dict[str, Any]) -> None:
    # hyper2kvm 0.2.1 would give qemu-img a level, which fails three times.
    assert derived["pipeline"]["convert"] == {"enabled": False, "compress": False}


def test_a_dry_run_is_this_module_s_choice(derived: dict[str, Any]) -> None:
    assert derived["options"]["dry_run"] is False


def test_the_user_s_manifest_stays_as_it_is(derived: dict[str, Any]) -> None:
    assert DOCUMENT["disks"][0]["checksum"]
    assert DOCUMENT["output"]["directory"] == "/elsewhere"


def test_the_boot_disk_has_the_lowest_hint(manifest_path: Path) -> None:
    disks = source_disks(DOCUMENT, manifest_path)
    assert boot_disk(disks).id == "disk-1"
    assert disks[0].path == manifest_path.parent / "web01-disk1.vmdk"


def test_without_hints_the_first_is() -> None:
    disks = tuple(SourceDisk(name, Path(name), "raw", 999) for name in ("a", "b"))
    assert boot_disk(disks).id == "a"


def test_a_missing_disk_is_named_with_its_field(manifest_path: Path) -> None:
    (manifest_path.parent / "web01-disk2.qcow2").unlink()
    with pytest.raises(ConversionError, match=r"disks\[1\]\.local_path.*web01-disk2\.qcow2"):
        source_disks(DOCUMENT, manifest_path)


def test_stages_of_the_manifest_and_of_the_user() -> None:
    assert enabled_stages(DOCUMENT, None) == ("fix", "convert")
    assert enabled_stages(DOCUMENT, ["validate", "convert", "inspect"]) == (
        "inspect",
        "convert",
        "validate",
    )


@pytest.mark.parametrize("pipeline", [{}, {"fix": {}}, {"convert": {"enabled": False}}])
def test_a_pipeline_that_does_nothing(pipeline: dict[str, Any]) -> None:
    with pytest.raises(ConversionError, match="would convert nothing"):
        enabled_stages({"pipeline": pipeline}, None)
