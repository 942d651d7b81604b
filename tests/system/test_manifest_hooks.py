# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hooks of the manifest: which hyper2kvm calls, and which can only fail."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support.hyper2kvm_loader import interpreter
from ansible_collections.hypersdk.hyper2kvm.tests.support.manifest_packages import (
    make_image,
    manifest,
    verified,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module

FUNCTIONS = """
import os
def note(vm, source, stage):
    # The sandbox lets it write among the results, and nowhere else that stays.
    with open(os.path.join(os.path.dirname(__file__), "out", "called"), "a") as file:
        file.write(f"{stage}: {vm} {os.path.basename(source)}\\n")
"""
HOOK = {
    "type": "python",
    "module": "our_hooks",
    "function": "note",
    "args": {"vm": "{{ vm_name }}", "source": "{{ source_path }}", "stage": "{{ stage }}"},
}


def converted(tmp_path: Path, executable: Path, hooks: dict[str, Any]) -> dict[str, Any]:
    (tmp_path / "our_hooks.py").write_text(FUNCTIONS)
    path = tmp_path / "artifact-manifest.json"
    manifest(
        run_module(
            "artifact_manifest",
            {
                "path": str(path),
                "disks": [{"path": str(make_image(tmp_path / "disk.qcow2", "qcow2"))}],
                "source": {"vm_name": "web01"},
                "pipeline": {"fix": {"enabled": False}},
                "hooks": hooks,
            },
        )
    )
    assert verified(path)["findings"] == []
    return run_module(
        "hyper2kvm_convert",
        {
            "manifest": str(path),
            "executable": str(executable),
            "environment": {"PYTHONPATH": str(tmp_path)},
        },
    )


def test_functions_are_called(tmp_path: Path, hyper2kvm_executable: Path) -> None:
    hooks = {stage: [HOOK] for stage in ("post_extraction", "pre_convert", "post_validate")}
    result = converted(tmp_path, hyper2kvm_executable, hooks)
    assert not result.get("failed"), result
    called = (tmp_path / "out" / "called").read_text().splitlines()
    assert [line.split(": ")[1] for line in called] == ["web01 disk-0.raw"] * 3


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        ({"type": "script", "path": "/bin/true"}, "hyper2kvm 0.2.1 can't run any"),
        (
            {"type": "http", "url": "https://example.com/"},
            "calls https://example.com/, and there is no network in the sandbox",
        ),
    ],
)
def test_what_can_only_fail_is_told_at_once(
    tmp_path: Path, hyper2kvm_executable: Path, hook: dict[str, Any], message: str
) -> None:
    result = converted(tmp_path, hyper2kvm_executable, {"post_validate": [HOOK, hook]})
    assert result["failed"] and message in result["msg"]
    assert result["msg"].startswith("hooks.post_validate[1] ")
    assert not (tmp_path / "out").exists() and not (tmp_path / "work").exists()


def test_no_script_runs_under_this_hyper2kvm() -> None:
    """What the refusal rests on; once this fails, hooks.py has a version to let pass."""
    program = (
        "from hyper2kvm.hooks import HookRunner\n"
        "hook = {'type': 'script', 'path': '/bin/true', 'continue_on_error': True}\n"
        "runner = HookRunner.from_manifest({'hooks': {'pre_fix': [hook]}})\n"
        "runner.execute_stage_hooks('pre_fix', {})\n"
    )
    done = subprocess.run(
        [interpreter(), "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode != 0 and "safe_path" in done.stderr
