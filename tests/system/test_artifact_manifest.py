# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""artifact_manifest's states and options, and what neither module may show."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support.manifest_packages import (
    exported_package,
    verified,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import (
    COLLECTIONS_ROOT,
    run_module,
)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """The manifest of a package of VMware's."""
    return exported_package(tmp_path)


def test_hashes_are_not_shown(exported: Path) -> None:
    descriptor = exported.parent / "web01.ovf"
    users = {
        "users": {
            "users": [
                {
                    "name": "rescue",
                    "password_hash": "$6$salt$hash-of-rescue",
                    "ssh_keys": ["ssh-x k"],
                }
            ]
        }
    }
    options = {"path": str(exported), "ovf": str(descriptor), "configuration": users}
    result = run_module("artifact_manifest", options, diff=True)
    assert result["changed"] and "hash-of-rescue" not in json.dumps(result)
    assert "ssh-x k" in json.dumps(result["manifest"])
    assert "hash-of-rescue" in exported.read_text()
    assert exported.stat().st_mode & 0o777 == 0o600
    assert "hash-of-rescue" not in json.dumps(verified(exported))
    removed = run_module("artifact_manifest", {"path": str(exported), "state": "absent"}, diff=True)
    assert removed["changed"] and "hash-of-rescue" not in json.dumps(removed)


def test_absent_with_backup(exported: Path) -> None:
    text = exported.read_text()
    options = {"path": str(exported), "state": "absent", "backup": True}
    assert run_module("artifact_manifest", options, check=True)["changed"] and exported.exists()
    result = run_module("artifact_manifest", options, diff=True)
    assert result["changed"] and result["diff"]["before"] == text and result["diff"]["after"] == ""
    assert Path(result["backup_file"]).read_text() == text
    again = run_module("artifact_manifest", options)
    assert not again["changed"] and "backup_file" not in again


def test_mode_of_the_file(exported: Path) -> None:
    options = {"path": str(exported), "notes": ["x"], "mode": "0640"}
    assert run_module("artifact_manifest", options, check=True)["changed"]
    assert run_module("artifact_manifest", options)["changed"]
    assert exported.stat().st_mode & 0o777 == 0o640
    assert not run_module("artifact_manifest", options)["changed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ovf": "/a", "disks": []}, "mutually exclusive"),
        ({"ovf": "/nowhere/a.ovf"}, "The OVF /nowhere/a.ovf does not exist."),
        ({"disks": []}, "disks is empty"),
        ({"boot_disk": "disk-0"}, "boot_disk is given without export, ovf or disks"),
        ({"ovf_directory": "/a"}, "missing parameter(s) required by 'ovf_directory': ovf"),
        ({}, "nothing is given to build it from"),
        (
            {"target_format": "raw", "output": {"format": "vdi"}},
            "target_format is raw, and output.format is vdi.",
        ),
        ({"vm": {"firmware": "efi"}}, "value of firmware must be one of: bios, uefi, unknown"),
        ({"hooks": {"pre_extraction": []}}, "Unsupported parameters"),
    ],
)
def test_options_that_contradict(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    result = run_module("artifact_manifest", {"path": str(tmp_path / "m.json"), **options})
    assert result["failed"] and message in result["msg"]
    assert "Traceback" not in json.dumps(result)


def test_without_jsonschema(tmp_path: Path) -> None:
    (tmp_path / "jsonschema").mkdir()
    (tmp_path / "jsonschema" / "__init__.py").write_text("raise ImportError('not here')\n")
    hidden = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(COLLECTIONS_ROOT)])}
    for name in ("artifact_manifest", "artifact_manifest_info"):
        result = run_module(name, {"path": str(tmp_path / "m.json")}, environment=hidden)
        assert (
            result["failed"]
            and "Failed to import the required Python library (jsonschema" in result["msg"]
        )
