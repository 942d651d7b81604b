# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A manifest that leaves its pipeline to a profile of hyper2kvm's is converted as hyper2kvm would."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.installation import (
    find_installation,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.profile import (
    with_profile,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.manifest_packages import (
    make_image,
    manifest,
    verified,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module

BASE = """\
description: What all of ours have.
pipeline:
  inspect: {enabled: true}
  fix: {enabled: true, fstab_mode: noop}
  convert: {enabled: true, compress: true}
options:
  verbose: 2
"""
# Without FIX, for which there is no guest here.
COPY = """\
extends: base
pipeline:
  fix: {enabled: false}
  validate: {enabled: true}
output:
  format: raw
"""


@pytest.fixture
def profiles(tmp_path: Path) -> Path:
    directory = tmp_path / "profiles"
    directory.mkdir()
    (directory / "base.yaml").write_text(BASE)
    (directory / "copy.yaml").write_text(COPY)
    return directory


def written(tmp_path: Path, profiles: Path, **more: Any) -> tuple[Path, dict[str, Any]]:
    path = tmp_path / "artifact-manifest.json"
    options = {
        "path": str(path),
        "disks": [{"path": str(make_image(tmp_path / "disk.qcow2", "qcow2"))}],
        "profile": "copy",
        "profiles_directory": str(profiles),
        **more,
    }
    return path, manifest(run_module("artifact_manifest", options))


def convert(path: Path, executable: Path, **more: Any) -> dict[str, Any]:
    return run_module(
        "hyper2kvm_convert", {"manifest": str(path), "executable": str(executable), **more}
    )


def test_the_profile_says_what_runs(
    tmp_path: Path, profiles: Path, hyper2kvm_executable: Path
) -> None:
    path, document = written(tmp_path, profiles)
    assert "pipeline" not in document and "format" not in document["output"]
    assert verified(path)["findings"] == []
    planned = run_module(
        "hyper2kvm_convert",
        {"manifest": str(path), "executable": str(hyper2kvm_executable)},
        check=True,
    )
    assert list(planned["stages"]) == ["inspect", "convert", "validate"], planned
    result = convert(path, hyper2kvm_executable)
    assert not result.get("failed"), result
    assert list(result["stages"]) == ["inspect", "convert", "validate"]
    (output,) = result["outputs"]
    assert output["path"] == str(tmp_path / "out" / "disk-0.raw")
    compared = ["qemu-img", "compare", "-f", "qcow2", "-F", "raw"]
    subprocess.run([*compared, str(tmp_path / "disk.qcow2"), output["path"]], check=True)
    assert not convert(path, hyper2kvm_executable)["changed"]
    # What the profile says belongs to what was converted.
    (profiles / "copy.yaml").write_text(COPY.replace("raw", "vdi"))
    again = convert(path, hyper2kvm_executable)
    assert again["changed"] and again["outputs"][0]["format"] == "vdi"


def test_overrides_win_over_the_profile_and_the_manifest_over_both(
    tmp_path: Path, profiles: Path, hyper2kvm_executable: Path, conversion_python: Path
) -> None:
    _path, document = written(
        tmp_path,
        profiles,
        profile_overrides={
            "output": {"format": "vdi"},
            "pipeline": {"convert": {"compress": False}},
        },
        pipeline={"validate": {"enabled": False}},
    )
    installation = find_installation(str(hyper2kvm_executable), isolation="bubblewrap")
    complete = with_profile(document, installation)
    assert complete["output"]["format"] == "vdi"
    assert complete["pipeline"] == {
        "inspect": {"enabled": True},
        "fix": {"enabled": False, "fstab_mode": "noop"},
        "convert": {"enabled": True, "compress": False},
        "validate": {"enabled": False},
    }
    assert "profile" not in complete and complete["options"] == {"verbose": 2}
    # hyper2kvm itself makes the same of it.
    program = (
        "import json, sys; from hyper2kvm.manifest.loader import ManifestLoader\n"
        "print(json.dumps(ManifestLoader().load(sys.argv[1])))\n"
    )
    done = subprocess.run(
        [str(conversion_python), "-c", program, str(tmp_path / "artifact-manifest.json")],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = json.loads(done.stdout)
    about = ("profile", "profile_overrides", "profiles_directory", "description")
    assert {key: value for key, value in loaded.items() if key not in about} == complete


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: nobody\n", "can't load the profile copy"),
        ("pipeline: [\n", "can't load the profile copy"),
        ("pipeline: {fix: {fstab_mode: all}}\n", "is 'all', which is not one of"),
        ("pipelines: {fix: {enabled: true}}\n", "pipelines is not a field"),
        ("description: nothing\n", "enables no stage"),
        ("pipeline: {convert: {enabled: true}}\noptions: {dry_run: true}\n", "about the stage fix"),
    ],
)
def test_profiles_that_do_not_fit(
    tmp_path: Path, profiles: Path, hyper2kvm_executable: Path, text: str, message: str
) -> None:
    path, _document = written(tmp_path, profiles)
    (profiles / "copy.yaml").write_text(text)
    result = convert(path, hyper2kvm_executable)
    assert result["failed"] and message in result["msg"], result
    assert not (tmp_path / "out").exists() and not (tmp_path / "work").exists()


def test_a_profile_that_is_gone(tmp_path: Path, profiles: Path, hyper2kvm_executable: Path) -> None:
    path, _document = written(tmp_path, profiles)
    (profiles / "copy.yaml").unlink()
    (finding,) = verified(path, fail_on_error=False)["findings"]
    assert finding["path"] == "profile" and "does not exist" in finding["message"]
    result = convert(path, hyper2kvm_executable)
    assert result["failed"] and "Profile 'copy' not found" in result["msg"]
