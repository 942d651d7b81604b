# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an export can be besides a directory of files: one OVA, or files with their manifest."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support.exporting import (
    export,
    names_in,
    sha256,
    source_digests,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim

MEMBERS = ["small01.ovf", "small01.mf", "small01-disk1.vmdk", "small01-disk2.vmdk"]


def digest_of(archive: tarfile.TarFile, name: str) -> str:
    member = archive.extractfile(name)
    assert member
    return hashlib.sha256(member.read()).hexdigest()


@pytest.mark.parametrize(("compress", "name"), [(False, "small01.ova"), (True, "small01.ova.gz")])
def test_ova_holds_the_package_in_order(
    small_vcenter: Vcsim,
    small_inventory: dict[str, Any],
    tmp_path: Path,
    compress: bool,
    name: str,
) -> None:
    result = export(small_vcenter, tmp_path, format="ova", compress=compress)
    assert result.get("changed") is True, result
    assert names_in(tmp_path) == ["export.json", name]
    assert result["ova_path"] == str(tmp_path / name)
    assert result["files"][0]["checksum"] == sha256(tmp_path / name)
    with tarfile.open(tmp_path / name) as archive:
        assert archive.getnames() == MEMBERS
        assert {member.type for member in archive} == {tarfile.REGTYPE}
        listed = archive.extractfile("small01.mf")
        assert listed
        digests = dict(re.findall(r"SHA256\((.+)\)= (\w+)", listed.read().decode()))
        assert digests == {
            member: digest_of(archive, member) for member in MEMBERS if member != "small01.mf"
        }
        assert [f"sha256:{digests[disk]}" for disk in MEMBERS[2:]] == source_digests(
            small_inventory
        )
    again = export(small_vcenter, tmp_path, format="ova", compress=compress)
    assert again["changed"] is False
    assert export(small_vcenter, tmp_path, check=True)["changed"] is True


def test_ova_is_written_as_ustar(small_vcenter: Vcsim, tmp_path: Path) -> None:
    export(small_vcenter, tmp_path, format="ova")
    header = (tmp_path / "small01.ova").read_bytes()[:512]
    assert header[257:265] == b"ustar\x0000"


def test_ova_gets_a_manifest_by_its_descriptor(small_vcenter: Vcsim, tmp_path: Path) -> None:
    refused = export(small_vcenter, tmp_path, format="ova", manifest=True)
    assert refused["failed"] and "artifact_manifest" in refused["msg"]
    package = export(small_vcenter, tmp_path, format="ova")["ova_path"]
    described = run_module(
        "artifact_manifest",
        {"path": str(tmp_path / "artifact-manifest.json"), "ovf": package},
    )
    assert described.get("changed") is True, described
    assert [Path(disk["local_path"]).name for disk in described["manifest"]["disks"]] == MEMBERS[2:]


def test_options_that_contradict_are_refused_before_anything_starts(
    small_vcenter: Vcsim, tmp_path: Path
) -> None:
    dest = tmp_path / "small01"
    for options, said in (
        ({"compress": True}, "compress goes with format: ova"),
        ({"manifest": True, "checksum_algorithm": "sha1"}, "SHA-256 only"),
        ({"parallel": 0}, "parallel must be at least 1"),
        ({"bandwidth_limit": -1}, "must not be negative"),
    ):
        result = export(small_vcenter, dest, **options)
        assert result["failed"] and said in result["msg"]
    assert not dest.exists()


@pytest.mark.parametrize("checksum", [True, False])
def test_manifest_is_written_and_verified(
    small_vcenter: Vcsim, tmp_path: Path, checksum: bool
) -> None:
    wanted: dict[str, Any] = {
        "manifest": True,
        "verify_manifest": True,
        "manifest_checksum": checksum,
        "manifest_target": "raw",
    }
    planned = export(small_vcenter, tmp_path, check=True, **wanted)
    assert not Path(planned["manifest_path"]).exists()
    result = export(small_vcenter, tmp_path, **wanted)
    assert result.get("changed") is True, result
    assert result["manifest_path"] == str(tmp_path / "artifact-manifest.json")
    document = json.loads(Path(result["manifest_path"]).read_text())
    assert document["output"]["format"] == "raw"
    assert [disk.get("checksum") for disk in document["disks"]] == [
        disk["checksum"] if checksum else None for disk in result["disks"]
    ]
    assert export(small_vcenter, tmp_path, **wanted)["changed"] is False


def test_a_manifest_that_does_not_hold_fails(small_vcenter: Vcsim, tmp_path: Path) -> None:
    result = export(small_vcenter, tmp_path, manifest=True)
    disk = Path(result["disks"][0]["path"])
    data = bytearray(disk.read_bytes())
    data[200_000] ^= 1
    disk.write_bytes(data)
    # Without verify the export doesn't read its disks; the manifest's check does.
    again = export(small_vcenter, tmp_path, manifest=True, verify_manifest=True)
    assert again["failed"] and "small01-disk1.vmdk" in again["msg"]
