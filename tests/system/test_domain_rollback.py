# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""kvm_domain against a real libvirtd: a machine that runs, and is taken away again with all that is its own."""

from __future__ import annotations

import time
from pathlib import Path
from xml.etree import ElementTree

from ansible_collections.hypersdk.hyper2kvm.tests.support.domain_vms import SAYS, DomainVm


def test_the_domain_runs_and_is_rolled_back_running(vm: DomainVm) -> None:
    digests = vm.digests()
    console = vm.directory / "serial.log"
    vm.run(placement="move", pool="images", virt_type="qemu")
    xml = vm.directory / "serial.xml"
    # The machine's serial port into a file: what a person would see with virsh console.
    xml.write_text(f"<serial type='file'><source path='{console}'/><target port='1'/></serial>")
    root = vm.xml()
    for element in root.findall("devices/serial") + root.findall("devices/console"):
        root.find("devices").remove(element)
    root.find("devices").append(
        ElementTree.fromstring(
            f"<serial type='file'><source path='{console}'/><target port='0'/></serial>"
        )
    )
    xml.write_text(ElementTree.tostring(root, encoding="unicode"))
    vm.libvirtd.virsh("define", str(xml))
    vm.libvirtd.virsh("start", vm.name)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and SAYS.strip() not in console.read_text():
        time.sleep(0.2)
    assert SAYS.strip() in console.read_text()
    running = vm.run(placement="move", pool="images", virt_type="qemu")
    assert (running["changed"], running["active"]) == (False, True)

    assert vm.run(state="absent")["changed"] is True
    assert not vm.defined()
    assert (vm.out / "disk-0.qcow2").exists()
    assert vm.digests() == digests


def test_a_rollback_takes_the_nvram_and_the_tpm_along(vm: DomainVm) -> None:
    vm.document["vm"].update({"firmware": "uefi", "secureboot": True, "memory_mb": 256})
    vm.write_manifest()
    assert vm.run(tpm=True, virt_type="qemu")["changed"] is True
    vm.libvirtd.virsh("start", vm.name)
    state = vm.libvirtd.directory / "lib"
    nvram = state / "qemu" / "nvram" / f"{vm.name}_VARS.fd"
    tpm = state / "swtpm" / vm.run(tpm=True, virt_type="qemu")["uuid"]
    # The store of the firmware that has keys, not an empty one.
    assert "KEK".encode("utf-16-le") in nvram.read_bytes()
    assert list(tpm.rglob("tpm2-*"))
    vm.run(state="absent")
    assert not nvram.exists()
    assert not tpm.exists()


def test_a_domain_that_was_renamed_is_rolled_back(vm: DomainVm) -> None:
    vm.run(placement="move", pool="images")
    vm.libvirtd.virsh("domrename", vm.name, f"{vm.name}-2")
    result = vm.run(state="absent")
    assert (result["changed"], result["name"]) == (True, f"{vm.name}-2")
    assert not vm.libvirtd.virsh("list", "--all", "--name").count(vm.name)
    assert (vm.out / "disk-0.qcow2").exists()


def test_an_image_with_an_overlay_is_not_taken_away(vm: DomainVm) -> None:
    [disk, _data] = vm.run(placement="move", pool="images")["disks"]
    before = vm.libvirtd.virsh("dumpxml", "--inactive", vm.name)
    xml = vm.directory / "overlay.xml"
    # What an external snapshot does.
    xml.write_text(before.replace(disk["path"], f"{disk['path']}.snap"))
    vm.libvirtd.virsh("define", str(xml))
    refused = vm.run(state="absent")
    assert refused["failed"] is True
    assert f"does not use {disk['path']}" in refused["msg"]
    assert vm.defined()
    assert Path(disk["path"]).exists()
    xml.write_text(before)
    vm.libvirtd.virsh("define", str(xml))
    assert vm.run(state="absent")["changed"] is True
