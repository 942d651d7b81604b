# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm import plan as plans
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.errors import (
    ConversionError,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.installation import (
    Installation,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.plan import (
    Plan,
    Request,
    make_plan,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.queue import Queue
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.request import (
    request_of,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.sandbox.limits import Limits


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A VM's directory, and a hyper2kvm to plan with: none is run for that."""
    (tmp_path / "web01-disk1.vmdk").write_bytes(b"abc")
    (tmp_path / "queue" / "to_be_processed").mkdir(parents=True)
    installation = Installation(
        Path("/opt/h/bin/hyper2kvm"), Path("/opt/h/bin/python3"), "0.2.1", "none"
    )
    monkeypatch.setattr(plans, "find_installation", lambda *_a, **_k: installation)
    return tmp_path


def plan(directory: Path, sections: dict[str, Any] | None = None, **options: Any) -> Plan:
    document: dict[str, Any] = {
        "manifest_version": "1.0",
        "source": {"vm_name": "web01"},
        "disks": [
            {
                "id": "disk-0",
                "source_format": "vmdk",
                "bytes": 3,
                "local_path": "web01-disk1.vmdk",
                "boot_order_hint": 0,
            }
        ],
        "pipeline": {name: {"enabled": True} for name in ("inspect", "fix", "convert", "validate")},
        **(sections or {}),
    }
    manifest = directory / "artifact-manifest.json"
    return make_plan(Request(manifest, document, directory / "out", **options))


def test_the_option_decides_then_the_manifest(directory: Path) -> None:
    pipeline = {"pipeline": {"convert": {"enabled": True, "compress": True}}}
    assert plan(directory).compress is False
    assert plan(directory, pipeline).compress is True
    assert plan(directory, pipeline, compress=False).compress is False
    dry = {"options": {"dry_run": True}}
    assert plan(directory, dry).dry_run is True
    assert plan(directory, dry, dry_run=False).dry_run is False


def test_what_can_t_be_had_is_said(directory: Path) -> None:
    level = {"pipeline": {"convert": {"enabled": True, "compress": True, "compress_level": 9}}}
    (note,) = plan(directory, level).notes()
    assert "compress_level" in note
    assert plan(directory, level, compress=False).notes() == []
    (note,) = plan(directory, compress=True, target_format="vdi").notes()
    assert "vdi" in note


def test_what_is_at_the_user_s_own_risk_is_said(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plan(directory).notes() == []
    (note,) = plan(directory, isolation="none").notes()
    assert "reach the disks" in note
    monkeypatch.setattr(plans, "MEASURED_VERSION", "0.1.9")
    (note,) = plan(directory).notes()
    assert "measured on 0.1.9" in note


def test_what_makes_another_result_and_what_does_not(directory: Path) -> None:
    same = plan(directory).fingerprint
    queue = Queue(directory / "queue", 1.0)
    for options in (
        {"limits": Limits(nice=5, memory_mb=100)},
        {"keep_on_failure": True},
        {"queue": queue},
        {"timeout": 7.0},
    ):
        assert plan(directory, **options).fingerprint == same, options
    for options in (
        {"compress": True},
        {"target_format": "raw"},
        {"stages": ["fix"]},
        {"repair": False},
        {"guest_network": "hyper2kvm"},
        {"environment": {"A": "b"}},
    ):
        assert plan(directory, **options).fingerprint != same, options


def test_another_version_of_the_collection_converts_again(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    present = plan(directory).fingerprint
    monkeypatch.setattr(plans, "WRITER_VERSION", "99.0.0")
    assert plan(directory).fingerprint != present


def test_stages_are_divided_at_fix(directory: Path) -> None:
    direct = plan(directory)
    assert (direct.stages_with_fix, direct.rest) == (("inspect", "fix"), ("convert", "validate"))
    queued = plan(directory, queue=Queue(directory / "queue", 1.0))
    assert (queued.stages_with_fix, queued.rest) == (("fix",), ("inspect", "convert", "validate"))
    without = plan(directory, stages=["inspect", "convert"])
    assert (without.stages_with_fix, without.rest) == ((), ("inspect", "convert"))


def test_a_dry_run_ends_with_fix_and_leaves_the_conversion_s_files(directory: Path) -> None:
    dry = plan(directory, dry_run=True)
    assert (
        dry.steps()[-1] == "/opt/h/bin/hyper2kvm --manifest: inspect, fix, in a sandbox (dry run)"
    )
    assert dry.expected_result()["outputs"] == []
    assert dry.log_path != plan(directory).log_path
    assert dry.report_path != plan(directory).report_path


def test_what_is_about_fix_needs_it(directory: Path) -> None:
    queue = Queue(directory / "queue", 1.0)
    for options in ({"dry_run": True}, {"queue": queue}):
        with pytest.raises(ConversionError, match="about the stage fix"):
            plan(directory, stages=["convert"], **options)
    with pytest.raises(ConversionError, match="no dry run"):
        plan(directory, dry_run=True, queue=queue)


def test_new_mac_addresses_are_those_that_the_domain_gets(directory: Path) -> None:
    uuid = "421e6a1c-9f0d-4b7e-9c4f-8f9e4cfb9f10"
    sections = {
        "nics": [{"id": "nic-0", "mac": "00:50:56:8a:01:02"}, {"mac": "00:50:56:8a:01:03"}],
        "source": {"provider": "vsphere", "vm_name": "web01"},
        "metadata": {"vsphere": {"uuid": uuid}},
    }
    kept = plan(directory, sections)
    new = plan(directory, sections, mac_policy="new")
    assert (dict(kept.macs), list(new.macs)) == ({}, ["nic-0", "nic-1"])
    options = {
        **dict.fromkeys(("name", "uuid", "firmware", "secure_boot", "cpus", "memory_mb")),
        **dict.fromkeys(("cpu_model", "osinfo", "virt_type", "pool", "tpm")),
        "placement": "in_place",
        "disk_bus": "virtio",
        "network_map": {"*": "lan"},
        "mac_policy": "new",
    }
    domain = request_of(new.request.document, directory, options, {})
    assert {nic.id: nic.mac for nic in domain.nics} == new.macs
    other = plan(directory, sections, mac_policy="new", domain_uuid=uuid[::-1].replace("-", ""))
    assert len({kept.fingerprint, new.fingerprint, other.fingerprint}) == 3
