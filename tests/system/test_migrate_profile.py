# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role migrate takes hyperexport's profiles, below what the play itself sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.tests.support.exporting import names_in
from ansible_collections.hypersdk.hyper2kvm.tests.support.playbook import (
    Outcome,
    connection,
    run_playbook,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim


def run(
    vcenter: Vcsim, place: Path, python: Path, entry: str = "export", **variables: Any
) -> Outcome:
    role = {"name": "hypersdk.hyper2kvm.migrate", "tasks_from": entry}
    play = {
        "hosts": "small01",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.import_role": role}],
    }
    variables = {
        **connection(vcenter),
        "migrate_directory": str(place),
        "migrate_python_interpreter": str(python),
        **variables,
    }
    return run_playbook([play], place / "run", hosts=["small01"], variables=variables)


def test_archive_keeps_one_ova(
    small_vcenter: Vcsim, conversion_python: Path, tmp_path: Path
) -> None:
    outcome = run(small_vcenter, tmp_path, conversion_python, migrate_profile="archive")
    assert outcome.returncode == 0, outcome.output
    assert names_in(tmp_path / "small01") == [
        "export.json",
        "migration-report.txt",
        "small01.ova",
    ]


def test_hyperexports_own_file_below_the_play(
    small_vcenter: Vcsim, conversion_python: Path, tmp_path: Path
) -> None:
    """The profile asks for vdi without digests; the play asks for raw."""
    profile = tmp_path / "ours.json"
    profile.write_text(
        json.dumps(
            {
                "name": "ours",
                "description": "as hyperexport wrote it",
                "format": "ovf",
                "compress": False,
                "verify": True,
                "power_off": True,
                "generate_manifest": True,
                "verify_manifest": True,
                "manifest_checksum": False,
                "manifest_target_format": "vdi",
            }
        )
    )
    outcome = run(
        small_vcenter,
        tmp_path,
        conversion_python,
        migrate_profile=str(profile),
        migrate_target_format="raw",
    )
    assert outcome.returncode == 0, outcome.output
    manifest = json.loads((tmp_path / "small01" / "artifact-manifest.json").read_text())
    assert manifest["output"]["format"] == "raw"
    assert all("checksum" not in disk for disk in manifest["disks"])


def test_an_unknown_key_is_named_before_anything_starts(
    small_vcenter: Vcsim, conversion_python: Path, tmp_path: Path
) -> None:
    profile = tmp_path / "ours.json"
    profile.write_text(json.dumps({"name": "ours", "fromat": "ovf"}))
    outcome = run(small_vcenter, tmp_path, conversion_python, migrate_profile=str(profile))
    assert outcome.returncode != 0
    assert "fromat" in outcome.output
    assert small_vcenter.status()["leases"] == []


def test_an_ova_is_not_converted(
    small_vcenter: Vcsim, conversion_python: Path, tmp_path: Path
) -> None:
    outcome = run(
        small_vcenter, tmp_path, conversion_python, entry="main", migrate_profile="archive"
    )
    assert outcome.returncode != 0
    assert "only the files of an OVF package can be converted" in outcome.output
    assert small_vcenter.status()["leases"] == []
