# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A dry run of hyper2kvm_convert on a real guest: what FIX would change is said, nothing is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.guests import debian_bios
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest
from ansible_collections.hypersdk.hyper2kvm.tests.support import exported
from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import cache_dir
from ansible_collections.hypersdk.hyper2kvm.tests.support.exported import Exported
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module

pytestmark = pytest.mark.emulated


@pytest.fixture(scope="module")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    guest: Guest = debian_bios.build()
    directory = tmp_path_factory.mktemp("dry-run") / "web01"
    return exported.make(directory, [guest.boot_disk, guest.data_disk])


@pytest.fixture(scope="module")
def rehearsed(vm: Exported, hyper2kvm_executable: Path) -> dict[str, Any]:
    options = {
        "manifest": str(vm.manifest),
        "executable": str(hyper2kvm_executable),
        "environment": {"LIBGUESTFS_CACHEDIR": str(cache_dir("appliance"))},
        "dry_run": True,
    }
    return run_module("hyper2kvm_convert", options)


def test_it_changes_nothing(vm: Exported, rehearsed: dict[str, Any]) -> None:
    assert (rehearsed.get("changed"), rehearsed.get("dry_run")) == (False, True), rehearsed
    assert rehearsed["fixed"] is False
    assert vm.is_untouched()
    left = {path.name for path in vm.out.iterdir()}
    assert left == {"dry-run-hyper2kvm.log", "dry-run-report.json"}
    assert not (vm.directory / "work").exists()


def test_it_says_what_fix_would_change(rehearsed: dict[str, Any]) -> None:
    report = json.loads(Path(rehearsed["report_path"]).read_text())
    assert report["pipeline"]["stages"]["fix"]["success"] is True
    assert list(rehearsed["stages"]) == ["inspect", "fix"]
    log = Path(rehearsed["log_path"]).read_text()
    # The root's entry in fstab names a device of the old controller.
    assert "/dev/sda1" in log
    assert "DRY-RUN" in log
