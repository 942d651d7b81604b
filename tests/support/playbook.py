# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a playbook as AWX does, with ansible-runner."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible_runner

from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim


@dataclass(frozen=True)
class Outcome:
    """What a run left: its exit status, what it printed, its recap and its statistics."""

    returncode: int
    output: str
    recap: dict[str, dict[str, int]]
    statistics: dict[str, Any]
    seconds: float

    def result(self, vm: str) -> dict[str, Any]:
        """Return what the role migrate reported of a VM."""
        found = self.statistics["migrate_results"][vm]
        assert isinstance(found, dict)
        return found

    def changed(self) -> int:
        """Return how many tasks changed something."""
        return sum(self.recap.get("changed", {}).values())


def connection(vcenter: Vcsim) -> dict[str, Any]:
    """Return the role migrate's variables for a simulated vCenter."""
    return {
        "migrate_vcenter_hostname": vcenter.hostname,
        "migrate_vcenter_port": vcenter.port,
        "migrate_vcenter_username": vcenter.username,
        "migrate_vcenter_password": vcenter.password,
        "migrate_vcenter_ca_path": str(vcenter.ca_path),
    }


def run_playbook(
    playbook: str | list[dict[str, Any]],
    private: Path,
    *,
    hosts: list[str],
    variables: dict[str, Any],
    host_variables: dict[str, Any] | None = None,
    timeout: int = 3600,
    check: bool = False,
    environment: dict[str, str] | None = None,
    forks: int | None = None,
) -> Outcome:
    """Run a playbook of a collection by its name, or plays given as data.

    Args:
        playbook: Such as hypersdk.hyper2kvm.migrate.
        private: ansible-runner's directory for this run.
        hosts: The inventory's hosts.
        variables: Extra variables.
        host_variables: What the inventory says for each host.
        timeout: Seconds after which the run is ended.
        check: Whether it runs with --check.
        environment: Variables beside those of this process.
        forks: How many hosts are worked on at once; None takes Ansible's default.
    """
    private.mkdir(parents=True, exist_ok=True)
    done = ansible_runner.run(
        private_data_dir=str(private),
        playbook=playbook,
        inventory={"all": {"hosts": {host: host_variables or {} for host in hosts}}},
        extravars=variables,
        settings={"job_timeout": timeout},
        cmdline="--check" if check else None,
        envvars=environment or {},
        forks=forks,
        quiet=True,
    )
    recap, statistics, seconds = {}, {}, 0.0
    for event in done.events:
        # What is printed outside of a task has none.
        data = event.get("event_data", {})
        if event["event"] == "playbook_on_stats":
            recap = {name: data[name] for name in ("ok", "changed", "failures", "dark")}
            statistics = data.get("artifact_data", {})
        seconds = max(seconds, data.get("duration", 0.0))
    with done.stdout as output:
        text = output.read()
    return Outcome(done.rc, text, recap, statistics, seconds)
