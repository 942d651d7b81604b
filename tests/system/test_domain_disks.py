# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""kvm_domain against a real libvirtd: disks that go into a storage pool, and back."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.support.domain_vms import DomainVm


def test_disks_move_into_a_pool_and_back(vm: DomainVm) -> None:
    digests = vm.digests()
    images = {path: path.read_bytes() for path in vm.out.glob("*.qcow2")}
    options = {"placement": "move", "pool": "images"}
    result = vm.run(**options)
    assert result["changed"] is True, result
    assert not list(vm.out.glob("*.qcow2"))
    for disk in result["disks"]:
        assert Path(disk["path"]).read_bytes() == images[Path(disk["source"])]
    assert f"{vm.name}-disk-0.qcow2" in vm.libvirtd.virsh("vol-list", "images")
    assert vm.run(**options)["changed"] is False
    elsewhere = vm.run()
    assert elsewhere["failed"] is True
    assert "Roll it back first" in elsewhere["msg"]

    undone = vm.run(state="absent")
    assert undone["changed"] is True
    assert {path: path.read_bytes() for path in vm.out.glob("*.qcow2")} == images
    assert vm.name not in vm.libvirtd.virsh("vol-list", "images")
    assert not vm.defined()
    assert not (vm.directory / "domain.json").exists()
    assert vm.run(state="absent")["changed"] is False
    assert vm.digests() == digests


def test_disks_are_copied_into_a_pool(vm: DomainVm) -> None:
    images = {path: path.read_bytes() for path in vm.out.glob("*.qcow2")}
    options = {"placement": "copy", "pool": "images"}
    result = vm.run(**options)
    assert [Path(disk["path"]).read_bytes() for disk in result["disks"]] == [
        images[Path(disk["source"])] for disk in result["disks"]
    ]
    assert vm.run(**options)["changed"] is False
    vm.run(state="absent")
    assert {path: path.read_bytes() for path in vm.out.glob("*.qcow2")} == images
    assert not any(Path(disk["path"]).exists() for disk in result["disks"])


def test_a_file_in_the_way_is_left_alone(vm: DomainVm) -> None:
    pool = vm.libvirtd.directory / "pool-images"
    theirs = pool / f"{vm.name}-disk-1.qcow2"
    theirs.write_text("somebody's")
    result = vm.run(placement="move", pool="images")
    assert result["failed"] is True
    assert str(theirs) in result["msg"]
    assert theirs.read_text() == "somebody's"
    assert (vm.out / "disk-0.qcow2").exists()
    theirs.unlink()
