# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role migrate takes hyperexport's profiles, below what the play itself sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support.exporting import names_in
from ansible_collections.hypersdk.hyper2kvm.tests.support.hyperexport import SAVED
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


def test_what_hyperexport_saved_goes_the_whole_way(
    small_vcenter: Vcsim,
    conversion_python: Path,
    hyper2kvm_executable: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Found by its name in the home directory; the manifest is written, since the rest needs it."""
    home = tmp_path / "home"
    profiles = home / ".hyperexport" / "profiles"
    profiles.mkdir(parents=True)
    saved = {**SAVED, "tags": {"wave": "3"}, "hyper2kvm_binary": str(hyper2kvm_executable)}
    (profiles / "quick-export.json").write_text(json.dumps(saved))
    monkeypatch.setenv("HOME", str(home))
    outcome = run(
        small_vcenter,
        tmp_path,
        conversion_python,
        entry="main",
        migrate_profile="quick-export",
        # No guest is on these disks that could be fixed or booted.
        migrate_stages=["convert", "validate"],
        # Text, as -e NAME=false on the command line makes it.
        migrate_boot_check="false",
        migrate_define="false",
    )
    assert outcome.returncode == 0, outcome.output
    place = tmp_path / "small01"
    manifest = json.loads((place / "artifact-manifest.json").read_text())
    assert manifest["metadata"]["tags"]["wave"] == "3"
    assert manifest["metadata"]["tags"]["provider"] == "vsphere"
    assert all("checksum" not in disk for disk in manifest["disks"])
    assert outcome.result("small01")["stages"]["verify"]["checksums"] == {}
    assert (place / "out" / "disk-0.qcow2").exists()


def test_a_profile_beside_the_play_wins_over_the_collections(
    small_vcenter: Vcsim, conversion_python: Path, tmp_path: Path
) -> None:
    profiles = tmp_path / "run" / "project" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "archive.json").write_text(json.dumps({**SAVED, "name": "archive"}))
    outcome = run(small_vcenter, tmp_path, conversion_python, migrate_profile="archive")
    assert outcome.returncode == 0, outcome.output
    names = names_in(tmp_path / "small01")
    assert "small01.ovf" in names and "small01.ova" not in names
    # An export alone does as the profile says.
    assert "artifact-manifest.json" not in names


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
