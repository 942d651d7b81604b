# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""hypersdk's Go types decode the manifests that are written here."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.tests.support import golang
from ansible_collections.hypersdk.hyper2kvm.tests.support.manifest_packages import (
    exported_package,
    manifest,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module


def mirrored(document: Any, decoded: Any) -> None:
    """Everything that the Go types have arrived as it was sent."""
    if isinstance(decoded, dict):
        for key, value in decoded.items():
            mirrored(document[key], value)
    elif isinstance(decoded, list):
        assert len(document) == len(decoded)
        for sent, value in zip(document, decoded):
            mirrored(sent, value)
    else:
        assert document == decoded


def test_hypersdks_go_types_decode_it(tmp_path: Path) -> None:
    exported = exported_package(tmp_path)
    options = {
        "path": str(exported),
        "ovf": str(exported.parent / "web01.ovf"),
        "options": {"dry_run": False, "verbose": 0, "report": {"enabled": True, "path": "r.json"}},
        "configuration": {"services": {"enable": ["sshd"]}, "hostname": {"hostname": "web01"}},
        "pipeline": {"convert": {"compress_level": 9}},
        "metadata": {"tags": {"cost_centre": 4711}},
        "hooks": {"pre_fix": [{"type": "http", "url": "https://example.com"}]},
    }
    document = manifest(run_module("artifact_manifest", options))
    sources = Path(golang.__file__).parents[1] / "hypersdk_types"
    done = subprocess.run(
        [str(golang.go()), "run", "."],
        cwd=sources,
        input=exported.read_text(),
        env={**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    decoded = json.loads(done.stdout)
    mirrored(document, decoded)
    # Nothing of the contract that these types have got lost on the way, 0 and false included.
    assert decoded["disks"][0]["boot_order_hint"] == 0
    assert decoded["options"] == document["options"]
    assert decoded["pipeline"] == document["pipeline"]
    assert set(document) - set(decoded) == {"hooks"}
