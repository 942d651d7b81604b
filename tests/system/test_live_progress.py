# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A long task shows how far it is while it runs, as live events of ansible-runner."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.tests.support.exporting import options
from ansible_collections.hypersdk.hyper2kvm.tests.support.playbook import run_playbook
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim


def test_an_export_is_followed_live(small_inventory: dict[str, Any], tmp_path: Path) -> None:
    slow = {"kind": "throttle", "file": 0, "bytes_per_second": 500_000}
    with Vcsim(small_inventory, [slow]) as vcenter:
        play = {
            "hosts": "web07",
            "gather_facts": False,
            "tasks": [
                {
                    "hypersdk.hyper2kvm.vsphere_ovf_export": options(vcenter, tmp_path / "out"),
                    "delegate_to": "localhost",
                }
            ],
        }
        outcome = run_playbook([play], tmp_path / "run", hosts=["web07"], variables={})
    assert outcome.returncode == 0, outcome.output
    lines = re.findall(r"\[web07\] exporting: (\d+) %", outcome.output)
    assert len(lines) >= 3 and lines == sorted(lines, key=int), outcome.output
    assert "MiB/s" in outcome.output or "KiB/s" in outcome.output
    assert vcenter.password not in outcome.output


def test_a_verification_is_followed_live(tmp_path: Path) -> None:
    """Nothing is left of it, and nothing is written beside what is verified."""
    exported = tmp_path / "web01"
    exported.mkdir()
    disks = []
    for number in range(2):
        # Sparse, so that only the digests take time; the .mf asks for a second one of each.
        with open(exported / f"disk{number}.raw", "wb") as file:
            file.truncate(6 << 30)
        disks.append(
            {
                "id": f"disk-{number}",
                "source_format": "raw",
                "bytes": 6 << 30,
                "local_path": file.name,
                "checksum": f"sha256:{'0' * 64}",
                "boot_order_hint": number,
            }
        )
    mf = "".join(f"SHA512(disk{number}.raw)= {'0' * 128}\n" for number in range(2))
    (exported / "web01.mf").write_text(mf)
    manifest = exported / "artifact-manifest.json"
    document = {"manifest_version": "1.0", "disks": disks, "pipeline": {"fix": {"enabled": True}}}
    manifest.write_text(json.dumps(document))
    before = {path: path.stat().st_mtime_ns for path in [exported, *exported.iterdir()]}
    temporary = tmp_path / "remote"
    task = {
        "hypersdk.hyper2kvm.artifact_manifest_info": {
            "path": str(manifest),
            "fail_on_error": False,
        },
        "delegate_to": "localhost",
        "vars": {"ansible_remote_tmp": str(temporary)},
    }
    play = {"hosts": "web01", "gather_facts": False, "tasks": [task]}
    outcome = run_playbook([play], tmp_path / "run", hosts=["web01"], variables={})
    assert outcome.returncode == 0 and outcome.changed() == 0, outcome.output
    lines = re.findall(r"\[web01\] verifying: (\d+) %, ", outcome.output)
    assert len(lines) >= 3 and lines == sorted(lines, key=int), outcome.output
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert set(exported.iterdir()) == set(before) - {exported}
    assert list(temporary.iterdir()) == []
