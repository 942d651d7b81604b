# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What conversion_host_info says of this machine, which is a conversion host."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module


def test_what_works_here(hyper2kvm_executable: Path, tmp_path: Path) -> None:
    arguments = {
        "executable": str(hyper2kvm_executable),
        "directory": str(tmp_path / "not" / "made" / "yet"),
    }
    facts = run_module("conversion_host_info", arguments)
    assert facts["problems"] == []
    assert (facts["bubblewrap"], facts["hyper2kvm"], facts["uefi"]) == (True, True, True)
    assert facts["hyper2kvm_version"] == "0.2.1"
    assert facts["libguestfs"] is None
    qemu = subprocess.run(["qemu-img", "--version"], capture_output=True, text=True, check=True)
    assert facts["qemu_img_version"] in qemu.stdout
    status = os.statvfs(tmp_path)
    free = status.f_bavail * status.f_frsize // (1 << 20)
    assert abs(facts["free_mb"] - free) < 4096
    assert (facts["cpus"], facts["nbd"]) == (
        os.cpu_count(),
        Path("/sys/module/nbd").exists(),
    )


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    facts = run_module("conversion_host_info", {"executable": str(tmp_path / "hyper2kvm")})
    assert (facts["hyper2kvm"], facts["hyper2kvm_version"], facts["free_mb"]) == (False, "", None)
    assert any(str(tmp_path / "hyper2kvm") in problem for problem in facts["problems"])
