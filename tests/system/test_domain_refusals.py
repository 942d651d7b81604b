# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""kvm_domain against a real libvirtd: what is in its way, and stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support.domain_vms import DomainVm

BIOS_UUID = "421e6a1c-9f0d-4b7e-9c4f-8f9e4cfb9f10"


def test_a_foreign_domain_is_left_alone(vm: DomainVm, tmp_path: Path) -> None:
    path = tmp_path / "foreign.xml"
    path.write_text(
        f"<domain type='qemu'><name>{vm.name}</name><memory>65536</memory>"
        "<os><type arch='x86_64'>hvm</type></os></domain>"
    )
    vm.libvirtd.virsh("define", str(path))
    try:
        before = vm.libvirtd.virsh("dumpxml", vm.name)
        for options in ({}, {"state": "absent"}, {"placement": "move", "pool": "images"}):
            result = vm.run(**options)
            assert result["failed"] is True
            assert "has not defined" in result["msg"]
            assert vm.libvirtd.virsh("dumpxml", vm.name) == before
            assert (vm.out / "disk-0.qcow2").exists()
            assert not (vm.directory / "domain.json").exists()
    finally:
        vm.libvirtd.virsh("undefine", vm.name)


def test_another_vms_domain_is_left_alone(
    vm: DomainVm, tmp_path: Path, conversion_python: Path
) -> None:
    vm.run()
    other = DomainVm(tmp_path / "other" / vm.name, vm.libvirtd, conversion_python)
    for options in ({}, {"state": "absent"}):
        result = other.run(**options)
        assert result["failed"] is True
        assert f"defined from {vm.directory}" in result["msg"]
    assert vm.run()["changed"] is False


def test_a_uuid_that_is_taken(vm: DomainVm, tmp_path: Path, conversion_python: Path) -> None:
    other = DomainVm(tmp_path / f"{vm.name}-2", vm.libvirtd, conversion_python)
    for machine in (vm, other):
        machine.document["metadata"] = {"vsphere": {"uuid": BIOS_UUID}}
        machine.write_manifest()
    assert vm.run()["uuid"] == BIOS_UUID
    result = other.run()
    assert result["failed"] is True
    assert vm.name in result["msg"]
    assert "BIOS UUID" in result["msg"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"network_map": {"VM Network": "lan"}}, "'DMZ'"),
        ({"network_map": {"*": "nowhere"}}, "'nowhere', which does not exist"),
        ({"network_map": {"*": {"bridge": "br-no"}}}, "bridge 'br-no', which does not exist"),
        ({"placement": "move", "pool": "nowhere"}, "no storage pool nowhere"),
        ({"placement": "move"}, "pool"),
        ({"secure_boot": True}, "BIOS"),
        ({"osinfo": "no-such-system"}, "no-such-system"),
        ({"uri": "qemu+unix:///system?socket=/nonexistent"}, "No connection to libvirt"),
    ],
)
def test_what_is_refused_before_anything_is_touched(
    vm: DomainVm, options: dict[str, Any], words: str
) -> None:
    digests = vm.digests()
    result = vm.run(**options)
    assert result["failed"] is True
    assert words in result["msg"]
    assert not vm.defined()
    assert not (vm.directory / "domain.json").exists()
    assert vm.digests() == digests


def test_what_libvirt_refuses_is_undone(vm: DomainVm) -> None:
    # libvirt takes no two NICs of one MAC address and vCPUs beyond the machine's limit.
    result = vm.run(placement="move", pool="images", cpus=100000)
    assert result["failed"] is True
    assert "libvirt does not take the domain" in result["msg"]
    assert (vm.out / "disk-0.qcow2").exists()
    assert not (vm.directory / "domain.json").exists()
    assert not vm.defined()


def test_a_network_that_is_not_active(vm: DomainVm) -> None:
    vm.libvirtd.add_network("idle", 3)
    vm.libvirtd.virsh("net-destroy", "idle")
    try:
        result = vm.run(network_map={"*": "idle"})
        assert result["failed"] is True
        assert "'idle', which is not active" in result["msg"]
        assert not vm.defined()
    finally:
        vm.libvirtd.virsh("net-undefine", "idle")
