# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""hyper2kvm_convert that is stopped in FIX, by its time-out or from outside, leaves no process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support import exported
from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import cache_dir
from ansible_collections.hypersdk.hyper2kvm.tests.support.converting import WITHOUT_FIX, Convert
from ansible_collections.hypersdk.hyper2kvm.tests.support.exported import Exported
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import COLLECTIONS_ROOT
from ansible_collections.hypersdk.hyper2kvm.tests.support.processes import is_gone, with_argument

MODULE = "ansible_collections.hypersdk.hyper2kvm.plugins.modules.hyper2kvm_convert"


@pytest.fixture
def endless(small: Exported) -> dict[str, str]:
    """Variables with which FIX never ends: libguestfs starts a program that waits instead of QEMU."""
    small.out.mkdir()
    program = small.out / "qemu"
    program.write_text("#!/bin/sh\nexec sleep 86403\n")
    program.chmod(0o755)
    return {"LIBGUESTFS_CACHEDIR": str(cache_dir("appliance")), "LIBGUESTFS_HV": str(program)}


def test_fix_that_takes_too_long_leaves_nothing(
    convert: Convert, small: Exported, endless: dict[str, str]
) -> None:
    result = convert(small, timeout=25, environment=endless)
    assert result["failed"] is True
    assert "time-out" in result["msg"]
    assert "in fix" in result["msg"]
    assert Path(result["log_path"]).exists()
    assert with_argument(str(small.directory / "work" / "scratch" / "fix-manifest.json")) == []
    assert with_argument("86403") == []
    assert small.is_untouched()


def test_fix_is_stopped_when_the_guest_can_t_be_looked_into(
    convert: Convert, conversion_python: Path, tmp_path: Path
) -> None:
    disk, program = tmp_path / "encrypted.raw", tmp_path / "bin" / "hyper2kvm"
    with disk.open("wb") as file:
        file.truncate(24 << 20)
    quick = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]
    encrypt = ["cryptsetup", "luksFormat", "-q", *quick, "--key-file", "-", str(disk)]
    subprocess.run(encrypt, input=b"secret", check=True)
    program.parent.mkdir()
    program.write_text(f"#!{conversion_python}\nimport time\ntime.sleep(86404)\n")
    program.chmod(0o755)
    vm = exported.make(tmp_path / "web01", [disk])
    result = convert(vm, timeout=300, executable=str(program))
    assert result["failed"] is True
    assert "LUKS encrypts /dev/sda" in result["msg"]
    assert "without the stage fix" in result["msg"]
    assert [finding["severity"] for finding in result["findings"]] == ["error"]
    assert with_argument(str(vm.directory / "work" / "scratch" / "fix-manifest.json")) == []
    assert vm.is_untouched()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_module_that_is_killed_in_fix_leaves_no_process(
    convert: Convert, small: Exported, endless: dict[str, str], number: signal.Signals
) -> None:
    manifest = str(small.directory / "work" / "scratch" / "fix-manifest.json")
    module = subprocess.Popen(
        [sys.executable, "-m", MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(COLLECTIONS_ROOT)},
        text=True,
    )
    try:
        assert module.stdin is not None
        arguments = convert.options(small, environment=endless)
        module.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
        module.stdin.close()
        deadline = time.monotonic() + 60
        while not with_argument("86403") and time.monotonic() < deadline:
            time.sleep(0.1)
        running = [*with_argument(manifest), *with_argument("86403")]
        # hyper2kvm, what libguestfs started, and bubblewrap twice.
        assert len(running) >= 4
        module.send_signal(number)
        module.wait(60)
        assert all(is_gone(pid) for pid in running)
        assert with_argument(manifest) == []
        assert with_argument("86403") == []
    finally:
        module.kill()
        module.wait()
        if module.stdout:
            module.stdout.close()
    # What a killed module could not take away does not stand in the way of the next run.
    assert convert(small, stages=WITHOUT_FIX)["changed"] is True
    assert small.is_untouched()
