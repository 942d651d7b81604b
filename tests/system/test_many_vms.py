# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several VMs in one run, as docs/many-vms.md has it: each at its own pace, and none for another's fault."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support.playbook import (
    Outcome,
    connection,
    run_playbook,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim

HOSTS = ["first", "absent", "second"]


@pytest.fixture(scope="module")
def vcenter(small_inventory: dict[str, Any]) -> Iterator[Vcsim]:
    [small] = [vm for vm in small_inventory["vms"] if vm["name"] == "small01"]
    vms = [{**small, "name": name, "nics": []} for name in HOSTS if name != "absent"]
    with Vcsim({"vms": vms}) as vcenter:
        yield vcenter


@pytest.fixture(scope="module")
def outcome(vcenter: Vcsim, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    directory = tmp_path_factory.mktemp("many")
    return run_playbook(
        "hypersdk.hyper2kvm.export",
        directory / "run",
        hosts=HOSTS,
        variables={
            **connection(vcenter),
            "migrate_directory": str(directory),
            "migrate_python_interpreter": sys.executable,
        },
        environment={"ANSIBLE_STRATEGY": "host_pinned"},
        forks=1,
    )


def test_a_vm_that_fails_stops_no_other(vcenter: Vcsim, outcome: Outcome) -> None:
    assert outcome.returncode != 0
    assert outcome.recap["failures"] == {"absent": 1}
    assert outcome.result("first")["status"] == outcome.result("second")["status"] == "succeeded"
    assert outcome.result("absent")["status"] == "failed"
    assert [lease["end"] for lease in vcenter.status()["leases"]] == ["completed"] * 2


def test_each_is_finished_before_the_next_is_begun(outcome: Outcome) -> None:
    lines = outcome.output.splitlines()
    last = max(number for number, line in enumerate(lines) if "[first -> localhost]" in line)
    begun = min(number for number, line in enumerate(lines) if ": [second" in line)
    assert last < begun
