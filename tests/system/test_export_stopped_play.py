# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A play that is ended from outside while a VM is exported leaves no lease and nothing half-done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support.exporting import (
    SLOW,
    export,
    lease_ends,
    names_in,
    options,
    sha256,
    source_digests,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim


@pytest.mark.parametrize(
    ("number", "end"),
    [
        # Ansible passes it on to what it started.
        (signal.SIGTERM, "aborted"),
        # Nobody is left who could: the module ends its work alone, and properly.
        (signal.SIGKILL, "completed"),
    ],
)
def test_the_lease_ends_and_the_next_run_goes_on(
    small_vcenter: Vcsim, small_inventory: dict[str, Any], tmp_path: Path, number: int, end: str
) -> None:
    small_vcenter.set_faults([SLOW])
    dest = tmp_path / "out"
    play = start_play(small_vcenter, dest, tmp_path)
    wait_for((dest / "small01-disk1.vmdk.part").exists, play)
    play.send_signal(number)
    play.wait(timeout=60)
    wait_for(lambda: lease_ends(small_vcenter) == [end])
    wait_for(lambda: not [name for name in names_in(dest) if name.endswith(".part")])
    small_vcenter.set_faults([])
    result = wait_for(lambda: free_again(small_vcenter, dest))
    assert result["changed"] is (end == "aborted"), result
    fetched = [sha256(Path(disk["path"])) for disk in result["disks"]]
    assert fetched == source_digests(small_inventory)


def start_play(vcenter: Vcsim, dest: Path, directory: Path) -> subprocess.Popen[bytes]:
    playbook = directory / "export.yml"
    task = {"hypersdk.hyper2kvm.vsphere_ovf_export": options(vcenter, dest)}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}
    playbook.write_text(json.dumps([play]))
    python = f"ansible_python_interpreter={sys.executable}"
    return subprocess.Popen(
        ["ansible-playbook", "-i", "localhost,", "-e", python, str(playbook)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # As a service would be started: with no terminal whose signals reach everybody.
        start_new_session=True,
        env=dict(os.environ),
    )


def free_again(vcenter: Vcsim, dest: Path) -> dict[str, Any] | None:
    """Export anew, once the module of the play has let go of the directory."""
    result = export(vcenter, dest)
    return None if "Another export into" in result.get("msg", "") else result


def wait_for(condition: Any, play: subprocess.Popen[bytes] | None = None) -> Any:
    deadline = time.monotonic() + 120
    while not (met := condition()):
        assert time.monotonic() < deadline, "it never came"
        assert play is None or play.poll() is None, "the play ended by itself"
        time.sleep(0.1)
    return met
