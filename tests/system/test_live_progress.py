# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A long task shows how far it is while it runs, as live events of ansible-runner."""

from __future__ import annotations

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
