# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare exporters against one simulated vCenter, in turn, and print the table.

    python -m ansible_collections.hypersdk.hyper2kvm.tests.benchmark --size 4G --rounds 5 DIRECTORY…

Each DIRECTORY is a filesystem to write to. Figures of one machine mean little; the ratios of
commands that ran in turn mean something.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.tests.benchmark import contenders as c
from ansible_collections.hypersdk.hyper2kvm.tests.benchmark.measure import Run, medians, run
from ansible_collections.hypersdk.hyper2kvm.tests.support import compressible
from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import built, keyed
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim

EXPORTERS = (
    c.Contender("curl, parallel", c.curl),
    c.Contender("ours, transfer alone", c.our_transfer),
    c.Contender("ours, transfer without SHA-256", c.our_transfer_without_digest),
    c.Contender("ours, playbook", c.ours),
    c.Contender("govc, SHA-256", c.govc),
    c.Contender("community.vmware, playbook", c.community_vmware),
    c.Contender("ours, playbook with working copies", c.ours_with_copies),
    c.Contender("govc, then qemu-img to raw", c.govc_then_raw),
    c.Contender("ours, verifying", c.our_verifying),
    c.Contender("openssl, parallel", c.openssl),
)
# What each figure may be at most, as a ratio of two contenders' wall seconds.
TARGETS = (
    ("ours, transfer alone", "curl, parallel", 1.15),
    ("ours, playbook", "govc, SHA-256", 0.8),
    ("ours, playbook", "community.vmware, playbook", 0.45),
    ("ours, playbook with working copies", "govc, then qemu-img to raw", 0.4),
    ("ours, transfer alone", "ours, transfer without SHA-256", 1.05),
    ("ours, verifying", "openssl, parallel", 1.15),
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare exporters of vSphere VMs.")
    parser.add_argument("directories", type=Path, nargs="+")
    parser.add_argument("--size", default="4G", help="of the two VMDKs together (default 4G)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="contenders whose names have this in them")
    arguments = parser.parse_args()
    chosen = [one for one in EXPORTERS if re.search(arguments.only, one.name)]
    inventory = make_disks(compressible.parse_size(arguments.size))
    describe_machine()
    with Vcsim(inventory) as vcenter:
        while not vcenter.status()["digests_ready"]:
            time.sleep(0.5)
        for directory in arguments.directories:
            compare(vcenter, directory, chosen, arguments.rounds)


def make_disks(total: int) -> dict[str, Any]:
    """Return the inventory of a VM with two disks whose VMDKs have this size together, in bytes."""
    capacity = total // (1 << 16) * (1 << 16)  # compresses 2:1, and there are two

    def build(place: Path) -> None:
        for seed in (1, 2):
            compressible.write(place / f"disk{seed}.vmdk", capacity, seed=seed)

    place = built(keyed("benchmark", Path(compressible.__file__), str(capacity)), build)
    disks = [{"path": str(place / f"disk{seed}.vmdk")} for seed in (1, 2)]
    return {
        "vms": [
            {
                "name": "small01",
                "guest_id": "debian12_64Guest",
                "firmware": "bios",
                "cpu": 1,
                "memory_mb": 1024,
                "power_state": "poweredOff",
                "disks": disks,
                "nics": [],
            }
        ]
    }


def describe_machine() -> None:
    """Print what the figures were measured on."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    name = model[1] if model else "unknown processor"
    print(
        f"\n{os.cpu_count()} cores ({name}), Python {sys.version.split()[0]}, {os.uname().release}"
    )


def compare(vcenter: Vcsim, directory: Path, chosen: list[c.Contender], rounds: int) -> None:
    """Run all contenders in turn and print their figures."""
    runs: dict[str, list[Run]] = {one.name: [] for one in chosen}
    for _round in range(rounds):
        for one in chosen:
            runs[one.name].append(run_once(vcenter, directory, one))
    filesystem = subprocess.run(
        ["findmnt", "-no", "FSTYPE", "-T", str(directory)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    print(f"\n{filesystem}, medians of {rounds}\n")
    print("| contender | wall s | CPU s | peak MiB |\n| --- | ---: | ---: | ---: |")
    middle = {name: medians(entries) for name, entries in runs.items()}
    for name, figures in middle.items():
        print(f"| {name} | {figures.wall:.2f} | {figures.cpu:.1f} | {figures.peak_mib:.0f} |")
    print("\n| ratio of wall seconds | median | at most |\n| --- | ---: | ---: |")
    for above, below, most in TARGETS:
        if above in runs and below in runs:
            ratios = sorted(a.wall / b.wall for a, b in zip(runs[above], runs[below]))
            print(f"| {above} ÷ {below} | {ratios[len(ratios) // 2]:.2f} | {most} |")


def run_once(vcenter: Vcsim, directory: Path, contender: c.Contender) -> Run:
    """Run a contender in an empty directory and remove what it made."""
    place = c.Place(vcenter, Path(tempfile.mkdtemp(prefix="benchmark-", dir=directory)))
    log = Path(tempfile.gettempdir()) / f"{place.directory.name}.log"
    try:
        with contender.prepare(place) as command:
            figures = run(command, log)
        # A process that ran inside the module says itself how long its transfer took.
        seconds = re.search(r"^seconds ([0-9.]+)$", log.read_text(errors="replace"), re.MULTILINE)
        return Run(float(seconds[1]), figures.cpu, figures.peak_mib) if seconds else figures
    finally:
        log.unlink(missing_ok=True)
        shutil.rmtree(place.directory)
        os.sync()


if __name__ == "__main__":
    main()
