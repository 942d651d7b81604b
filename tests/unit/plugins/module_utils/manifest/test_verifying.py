# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings that need no image but a raw one; tests/system has those of real packages."""

from __future__ import annotations

import hashlib
import json
import time

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.verifying import verify


@pytest.fixture
def manifest(tmp_path):
    disk = tmp_path / "disk.raw"
    disk.write_bytes(b"x" * 2048)

    def write(**sections):
        entry = {
            "id": "disk-0",
            "source_format": "raw",
            "bytes": 2048,
            "local_path": str(disk),
            "checksum": f"sha256:{hashlib.sha256(b'x' * 2048).hexdigest()}",
            **sections.pop("disk", {}),
        }
        document = {
            "manifest_version": "1.0",
            "disks": [entry],
            "pipeline": {"fix": {"enabled": True}},
        }
        path = tmp_path / "artifact-manifest.json"
        path.write_text(json.dumps({**document, **sections}))
        return path

    return write


def found(path, **options):
    return [
        (finding.severity, finding.path)
        for finding in verify(path, checksums=options.pop("checksums", True)).findings
    ]


def test_nothing_is_wrong(manifest):
    verdict = verify(manifest(), checksums=True)
    assert verdict.valid and verdict.findings == ()
    assert list(verdict.checksums) == ["disk-0"]
    assert verify(manifest(), checksums=False).checksums == {}


def test_progress(manifest):
    seen = []
    verify(manifest(), checksums=True, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2048, 2048)]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"bytes": 2047}, "disks[0].bytes"),
        ({"checksum": "sha256:" + "0" * 64}, "disks[0].checksum"),
        ({"source_format": "qcow2"}, "disks[0].source_format"),
        ({"capacity": 4096}, "disks[0].capacity"),
        ({"local_path": "/nowhere/disk.raw"}, "disks[0].local_path"),
        ({"local_path": "/"}, "disks[0].local_path"),
        ({"local_path": "/a" * 4000}, "disks[0].local_path"),
    ],
)
def test_disks(manifest, change, where):
    assert found(manifest(disk=change)) == [("error", where)]


def test_what_the_run_needs(manifest, tmp_path):
    hooks = {"pre_fix": [{"type": "script", "path": "/nowhere/hook"}]}
    sections = {"profile": "mine", "profiles_directory": str(tmp_path), "hooks": hooks}
    assert found(manifest(**sections)) == [("error", "profile"), ("error", "hooks.pre_fix[0].path")]
    (tmp_path / "mine.yaml").touch()
    hooks["pre_fix"][0]["path"] = str(tmp_path / "mine.yaml")
    assert found(manifest(**sections)) == []


@pytest.mark.parametrize("text", ["[]", "null", '"x"'])
def test_no_object(manifest, text):
    path = manifest()
    path.write_text(text)
    verdict = verify(path, checksums=True)
    assert not verdict.valid and verdict.document is None


def test_a_schema_error_does_not_hide_the_files_errors(manifest):
    path = manifest(disk={"bytes": 1, "disk_type": "swap"}, vm={"firmware": "efi"})
    assert sorted(found(path)) == [
        ("error", "disks[0].bytes"),
        ("error", "disks[0].disk_type"),
        ("error", "vm.firmware"),
    ]


def test_odd_types_do_not_stop_it(manifest):
    path = manifest(disks=[1, {"local_path": 5}, {"local_path": "\0"}], hooks=[], configuration=[])
    findings = found(path)
    assert findings and all(severity == "error" for severity, _path in findings)


def test_a_thousand_disks_take_no_time_without_reading(manifest, tmp_path):
    disk = tmp_path / "disk.raw"
    disks = [
        {
            "id": f"disk-{number}",
            "source_format": "raw",
            "bytes": 2048,
            "local_path": f"{disk}.{number}",
            "boot_order_hint": number,
        }
        for number in range(1000)
    ]
    for entry in disks:
        with open(entry["local_path"], "wb") as file:
            file.truncate(2048)
    path = manifest(disks=disks)
    start = time.process_time()
    assert found(path, checksums=False) == []
    assert time.process_time() - start < 1
