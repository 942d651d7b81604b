# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real guest the whole way, through the role and the installed collection.

The guest relies on VMware's hardware. With FIX it boots from virtio; without it
the same chain must not get it to its login, or the check would mean nothing.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.guests import debian_bios
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module
from ansible_collections.hypersdk.hyper2kvm.tests.support.playbook import (
    Outcome,
    connection,
    run_playbook,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim

PLAYBOOK = "hypersdk.hyper2kvm.migrate"


@dataclass(frozen=True)
class Migration:
    """The guest, its vCenter, where it went and what the role said."""

    guest: Guest
    vcenter: Vcsim
    private: Path
    variables: dict[str, Any]
    outcome: Outcome

    @property
    def directory(self) -> Path:
        return Path(self.variables["migrate_directory"]) / self.guest.hostname

    @property
    def result(self) -> dict[str, Any]:
        return self.outcome.result(self.guest.hostname)


@pytest.fixture(scope="module")
def guest() -> Guest:
    return debian_bios.build()


@pytest.fixture(scope="module")
def vcenter(guest: Guest) -> Iterator[Vcsim]:
    with Vcsim({"vms": [guest.inventory_vm()]}) as vcenter:
        yield vcenter


@pytest.fixture(scope="module")
def variables(
    vcenter: Vcsim,
    conversion_python: Path,
    hyper2kvm_executable: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    return {
        **connection(vcenter),
        "migrate_directory": str(tmp_path_factory.mktemp("migration")),
        "migrate_python_interpreter": str(conversion_python),
        "migrate_hyper2kvm_executable": str(hyper2kvm_executable),
    }


@pytest.fixture(scope="module")
def migration(
    guest: Guest,
    vcenter: Vcsim,
    variables: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Migration:
    private = tmp_path_factory.mktemp("runner")
    outcome = run_playbook(PLAYBOOK, private, hosts=[guest.hostname], variables=variables)
    assert outcome.returncode == 0, outcome.output
    return Migration(guest, vcenter, private, variables, outcome)


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return f"sha256:{digest.hexdigest()}"


def test_login_is_reached_from_virtio(migration: Migration) -> None:
    check = migration.result["stages"]["boot_check"]
    assert check["booted"] is True
    assert check["matched"] == f"{migration.guest.hostname} login:"
    console = Path(check["console_path"]).read_text(encoding="utf-8", errors="replace")
    assert "vda" in console


def test_it_answers_where_it_answered_before(migration: Migration) -> None:
    """The address was found in the guest by the conversion; nobody has said it."""
    [nic] = migration.guest.nics
    [answer] = migration.result["stages"]["boot_check"]["answers"]
    assert answer["answered"] is True, answer
    assert f"{answer['address']}/24" == nic.address
    assert (answer["source"], answer["mac"]) == ("conversion", nic.mac)
    report = (migration.directory / "migration-report.txt").read_text(encoding="utf-8")
    assert f"Answers:  {answer['address']} at nic-0" in report


def test_only_the_mac_address_keeps_the_interface_s_name(
    migration: Migration, tmp_path: Path
) -> None:
    """With another one the same image has no ens192, and so the check can fail."""
    [nic] = migration.guest.nics
    expected = {"address": nic.address, "port": migration.guest.answer_port}
    result = run_module(
        "kvm_boot_check",
        {
            "disks": [output["path"] for output in migration.result["outputs"]],
            "macs": ["52:54:00:00:00:01"],
            "memory_mb": migration.guest.memory_mb,
            "evidence_dir": str(tmp_path),
            "expect": [expected],
            "answer_timeout": 20,
        },
    )
    assert (result["failed"], result["booted"], result["state"]) == (True, True, "no_answer")
    assert result["answers"][0]["reason"] == "nobody has this address"


def test_every_stage_is_accounted_for(migration: Migration) -> None:
    assert migration.result["status"] == "succeeded"
    assert list(migration.result["stages"]) == ["export", "verify", "convert", "boot_check"]
    assert all(stage["seconds"] > 0 for stage in migration.result["stages"].values())
    report = (migration.directory / "migration-report.txt").read_text(encoding="utf-8")
    assert report.startswith(f"{migration.guest.hostname}: succeeded\n")


def test_initramfs_is_made_once(migration: Migration) -> None:
    """FIX leaves this guest's complete, so the repair has no reason to spend minutes on another."""
    record = json.loads((migration.directory / "out" / "conversion.json").read_text("utf-8"))
    assert [made["by"] for made in record["result"]["guest"]["initramfs_rebuilt"]] == ["hyper2kvm"]


def test_evidence_is_what_vcenter_served(migration: Migration) -> None:
    manifest = json.loads((migration.directory / "artifact-manifest.json").read_text("utf-8"))
    served = [sha256(migration.guest.boot.vmdk), sha256(migration.guest.data.vmdk)]
    assert [disk["checksum"] for disk in manifest["disks"]] == served
    assert [sha256(Path(disk["local_path"])) for disk in manifest["disks"]] == served


def test_lease_is_completed(migration: Migration) -> None:
    leases = migration.vcenter.status()["leases"]
    assert [lease["end"] for lease in leases][:1] == ["completed"]


def test_images_are_those_that_were_converted(migration: Migration) -> None:
    """The boot check, and whatever came after it, has written nothing to them."""
    outputs = migration.result["outputs"]
    assert [output["id"] for output in outputs] == ["disk-0", "disk-1"]
    assert [sha256(Path(output["path"])) for output in outputs] == [
        output["checksum"] for output in outputs
    ]


def test_data_disk_is_intact(migration: Migration, tmp_path: Path) -> None:
    raw = tmp_path / "data.raw"
    image = migration.result["outputs"][1]["path"]
    subprocess.run(["qemu-img", "convert", "-O", "raw", image, raw], check=True)
    table = subprocess.run(["sfdisk", "--json", raw], check=True, capture_output=True).stdout
    start = json.loads(table)["partitiontable"]["partitions"][0]["start"] * 512
    found = {}
    for name in migration.guest.data_files:
        copy = tmp_path / "copy"
        copy.unlink(missing_ok=True)
        dump = f'dump "/{name.lstrip("/")}" "{copy}"'
        subprocess.run(["debugfs", "-R", dump, f"{raw}?offset={start}"], check=True)
        found[name] = sha256(copy).removeprefix("sha256:")
    assert found == {
        name: digest.removeprefix("sha256:") for name, digest in migration.guest.data_files.items()
    }


def test_second_run_changes_nothing(migration: Migration) -> None:
    again = run_playbook(
        PLAYBOOK,
        migration.private,
        hosts=[migration.guest.hostname],
        # What is found done is not booted again here: that is the slow part.
        variables={**migration.variables, "migrate_boot_check": False},
    )
    assert again.returncode == 0, again.output
    assert again.changed() == 0, again.output
    assert len(migration.vcenter.status()["leases"]) == 1


def test_unfixed_guest_does_not_boot(
    migration: Migration, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The same chain without FIX stops before the login, and says where."""
    variables = {
        **migration.variables,
        "migrate_directory": str(tmp_path_factory.mktemp("unfixed")),
        "migrate_stages": ["convert", "validate"],
    }
    outcome = run_playbook(
        PLAYBOOK,
        tmp_path_factory.mktemp("unfixed-runner"),
        hosts=[migration.guest.hostname],
        variables=variables,
    )
    assert outcome.returncode != 0, outcome.output
    result = outcome.result(migration.guest.hostname)
    assert (result["status"], result["stage"]) == ("failed", "boot_check")
    assert result["state"] in ("initramfs", "kernel_panic")
    console = Path(result["console_path"]).read_text(encoding="utf-8", errors="replace")
    assert f"{migration.guest.hostname} login:" not in console
    report = Path(variables["migrate_directory"]) / migration.guest.hostname
    assert "FAILED in boot_check" in (report / "migration-report.txt").read_text(encoding="utf-8")
