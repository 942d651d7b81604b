# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report's text: what each stage did and how long it took, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.tests.support.playbook import run_playbook

TEMPLATE = Path(__file__).parents[2] / "roles" / "migrate" / "templates" / "migration-report.txt.j2"

RESULT: dict[str, Any] = {
    "vm": "web01",
    "status": "succeeded",
    "stage": "report",
    "directory": "/srv/migration/web01",
    "conversion_host": "kvm01",
    "changed": True,
    "outputs": [{"path": "/srv/migration/web01/out/disk-0.qcow2"}],
    "stages": {
        "convert": {
            "changed": True,
            "fixed": True,
            "seconds": 121.5,
            "durations": {"fix": 88.94, "guest_repair": 14.2, "convert": 9.1},
            "overhead": {
                "hyper2kvm": 98.0,
                "appliance": 11.1,
                "initramfs": 0.0,
                "rest": 12.4,
                "percent": 12.7,
            },
        },
        "define": {
            "changed": True,
            "name": "web01",
            "uri": "qemu:///system",
            "started": True,
            "seconds": 4.2,
        },
    },
}


def test_each_step_of_a_conversion_has_its_time(tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    task = {"ansible.builtin.template": {"src": str(TEMPLATE), "dest": str(report), "mode": "0644"}}
    play = {"hosts": "web01", "gather_facts": False, "connection": "local", "tasks": [task]}
    variables = {
        "migrate_result": RESULT,
        "migrate_vcenter_hostname": "vcenter.example.com",
        "__migrate_handed_over": False,
    }
    outcome = run_playbook([play], tmp_path / "run", hosts=["web01"], variables=variables)
    assert outcome.returncode == 0, outcome.output
    lines = report.read_text(encoding="utf-8").splitlines()
    table = lines[next(i for i, line in enumerate(lines) if line.startswith("Stage")) + 1 :]
    assert [line.split() for line in table[1:4]] == [
        ["88.9", "fix"],
        ["14.2", "guest", "repair"],
        ["9.1", "convert"],
    ]
    assert table[0].split()[:2] == ["convert", "121.5"]
    assert "disk-0.qcow2" in table[0]
    assert table[4].split(maxsplit=2) == [
        "define",
        "4.2",
        "domain web01 at qemu:///system, started",
    ]
    assert table[5] == (
        "Overhead: 12.4 s, 12.7 % of hyper2kvm's own 98.0 s; besides them 11.1 s to start libguestfs"
        " for the repair"
    )
