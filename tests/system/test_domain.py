# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""kvm_domain against a real libvirtd: define, leave alone, start, undo."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import ansible
import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support import boot_sector
from ansible_collections.hypersdk.hyper2kvm.tests.support.libvirtd import Libvirtd
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import (
    COLLECTIONS_ROOT,
    run_module,
)

SAYS = "\r\nmigrated login: "
BIOS_UUID = "421e6a1c-9f0d-4b7e-9c4f-8f9e4cfb9f10"
NETWORKS = {"VM Network": "lan", "DMZ": {"network": "dmz", "link": "down"}}


@pytest.fixture(scope="module")
def libvirtd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Libvirtd]:
    """A libvirtd with two networks and a pool, for all tests: each names its own domains."""
    with Libvirtd(tmp_path_factory.mktemp("libvirtd")) as daemon:
        daemon.add_network("lan", 1)
        daemon.add_network("dmz", 2)
        daemon.add_pool("images")
        (daemon.directory / "python").mkdir()
        (daemon.directory / "python" / "ansible").symlink_to(Path(ansible.__file__).parent)
        yield daemon


class Vm:
    """A VM's directory with an export and its conversion, and the module on it."""

    def __init__(self, directory: Path, libvirtd: Libvirtd, python: Path) -> None:
        self.directory = directory
        self.name = directory.name
        self.libvirtd = libvirtd
        self._python = python
        self._ansible = libvirtd.directory / "python"
        self.out = directory / "out"
        self.out.mkdir(parents=True)
        (self.out / "boot-check").mkdir()
        (self.out / "boot-check" / "console.log").write_text("evidence")
        (self.out / "report.json").write_text("{}")
        self.evidence = [self.out / "boot-check" / "console.log", self.out / "report.json"]
        outputs = []
        disks = []
        for index in range(2):
            vmdk = directory / f"{self.name}-disk{index + 1}.vmdk"
            vmdk.write_bytes(b"KDMV exported %d" % index)
            self.evidence.append(vmdk)
            raw = boot_sector.disk(self.out / f"disk-{index}.raw", SAYS)
            image = self.out / f"disk-{index}.qcow2"
            subprocess.run(
                ["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", raw, image], check=True
            )
            raw.unlink()
            outputs.append({"id": f"disk-{index}", "path": str(image)})
            disks.append(
                {
                    "id": f"disk-{index}",
                    "source_format": "vmdk",
                    "bytes": vmdk.stat().st_size,
                    "local_path": str(vmdk),
                    "boot_order_hint": 1 - index,
                }
            )
        (self.out / "conversion.json").write_text(json.dumps({"outputs": outputs}))
        self.document: dict[str, Any] = {
            "manifest_version": "1.0",
            "source": {"provider": "vsphere", "vm_id": "vm-42", "vm_name": self.name},
            "vm": {"cpu": 2, "mem_gb": 1, "memory_mb": 64, "os_version": "debian13_64Guest"},
            "disks": disks,
            "pipeline": {"convert": {"enabled": True}},
            "nics": [
                {"id": "nic-0", "mac": "00:50:56:8a:01:02", "network": "VM Network"},
                {"id": "nic-1", "mac": "00:50:56:8a:01:03", "network": "DMZ"},
            ],
        }
        self.write_manifest()

    def write_manifest(self) -> None:
        path = self.directory / "artifact-manifest.json"
        path.write_text(json.dumps(self.document))
        self.evidence.append(path)

    def run(self, *, check: bool = False, **options: Any) -> dict[str, Any]:
        arguments = {
            "manifest": str(self.directory / "artifact-manifest.json"),
            "uri": self.libvirtd.uri,
            "network_map": NETWORKS,
            **options,
        }
        # libvirt's binding is the distribution's Python's; AnsiballZ would bring ansible's code.
        environment = {"PYTHONPATH": f"{COLLECTIONS_ROOT}{os.pathsep}{self._ansible}"}
        return run_module(
            "kvm_domain",
            arguments,
            check=check,
            diff=True,
            environment=environment,
            python=str(self._python),
        )

    def defined(self) -> bool:
        return self.name in self.libvirtd.virsh("list", "--all", "--name").split()

    def xml(self) -> ElementTree.Element:
        return ElementTree.fromstring(self.libvirtd.virsh("dumpxml", "--inactive", self.name))

    def digests(self) -> dict[Path, str]:
        return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in self.evidence}


@pytest.fixture
def vm(
    tmp_path: Path, libvirtd: Libvirtd, conversion_python: Path, request: pytest.FixtureRequest
) -> Iterator[Vm]:
    name = re.sub(r"\W+", "-", request.node.name.removeprefix("test_")).strip("-")
    machine = Vm(tmp_path / name, libvirtd, conversion_python)
    yield machine
    if machine.defined():
        machine.run(state="absent")


def test_a_domain_is_what_the_manifest_describes(vm: Vm) -> None:
    digests = vm.digests()
    result = vm.run()
    assert result["changed"] is True, result
    assert result["virt_type"] in ("kvm", "qemu")
    root = vm.xml()
    assert root.findtext("vcpu") == "2"
    assert root.findtext("memory") == str(64 * 1024)
    assert root.find("os").get("firmware") is None
    assert "q35" in root.find("os/type").get("machine", "")
    disks = [
        (
            disk.find("source").get("file"),
            disk.find("target").get("bus"),
            disk.find("driver").get("type"),
            disk.find("boot") is not None,
        )
        for disk in root.findall("devices/disk")
    ]
    assert disks == [
        (str(vm.out / "disk-0.qcow2"), "virtio", "qcow2", False),
        (str(vm.out / "disk-1.qcow2"), "virtio", "qcow2", True),
    ]
    nics = [
        (
            nic.find("mac").get("address"),
            nic.find("source").get("network"),
            nic.find("model").get("type"),
            nic.find("link").get("state") if nic.find("link") is not None else "up",
        )
        for nic in root.findall("devices/interface")
    ]
    assert nics == [
        ("00:50:56:8a:01:02", "lan", "virtio", "up"),
        ("00:50:56:8a:01:03", "dmz", "virtio", "down"),
    ]
    assert root.find("devices/tpm") is None
    assert root.findtext("title") == f"{vm.name}, migrated from vsphere {vm.name} vm-42"
    assert vm.digests() == digests
    # virt-install would have made a pool of the images' directory.
    assert vm.libvirtd.virsh("pool-list", "--all", "--name").split() == ["images"]


def test_a_second_run_changes_nothing(vm: Vm) -> None:
    vm.run()
    before = vm.libvirtd.virsh("dumpxml", "--inactive", vm.name)
    again = vm.run()
    assert (again["changed"], again["edited"]) == (False, False)
    assert "diff" not in again
    assert vm.libvirtd.virsh("dumpxml", "--inactive", vm.name) == before


def test_check_mode_says_what_would_be(vm: Vm) -> None:
    result = vm.run(check=True, placement="move", pool="images")
    assert result["changed"] is True
    assert "00:50:56:8a:01:02" in result["diff"]["after"]
    assert result["disks"][0]["path"].endswith(f"/pool-images/{vm.name}-disk-0.qcow2")
    assert not vm.defined()
    assert (vm.out / "disk-0.qcow2").exists()
    assert not (vm.directory / "domain.json").exists()
    vm.run()
    removed = vm.run(check=True, state="absent")
    assert (removed["changed"], removed["diff"]["after"]) == (True, "")
    assert vm.defined()


def test_other_options_define_it_anew(vm: Vm) -> None:
    first = vm.run()
    result = vm.run(cpus=4, memory_mb=128)
    assert (result["changed"], result["uuid"]) == (True, first["uuid"])
    assert "<vcpu placement='static'>2<" in result["diff"]["before"]
    root = vm.xml()
    assert (root.findtext("vcpu"), root.findtext("memory")) == ("4", str(128 * 1024))
    assert vm.run(cpus=4, memory_mb=128)["changed"] is False


def test_an_edit_is_kept(vm: Vm) -> None:
    vm.run()
    vm.libvirtd.virsh("setvcpus", vm.name, "1", "--config")
    again = vm.run()
    assert (again["changed"], again["edited"]) == (False, True)
    refused = vm.run(memory_mb=128)
    assert refused["failed"] is True
    assert "was edited" in refused["msg"]
    assert vm.xml().find("vcpu").get("current") == "1"


def test_a_foreign_domain_is_left_alone(vm: Vm, tmp_path: Path) -> None:
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


def test_another_vms_domain_is_left_alone(vm: Vm, tmp_path: Path, conversion_python: Path) -> None:
    vm.run()
    other = Vm(tmp_path / "other" / vm.name, vm.libvirtd, conversion_python)
    for options in ({}, {"state": "absent"}):
        result = other.run(**options)
        assert result["failed"] is True
        assert f"defined from {vm.directory}" in result["msg"]
    assert vm.run()["changed"] is False


def test_a_uuid_that_is_taken(vm: Vm, tmp_path: Path, conversion_python: Path) -> None:
    other = Vm(tmp_path / f"{vm.name}-2", vm.libvirtd, conversion_python)
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
    vm: Vm, options: dict[str, Any], words: str
) -> None:
    digests = vm.digests()
    result = vm.run(**options)
    assert result["failed"] is True
    assert words in result["msg"]
    assert not vm.defined()
    assert not (vm.directory / "domain.json").exists()
    assert vm.digests() == digests


def test_disks_move_into_a_pool_and_back(vm: Vm) -> None:
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


def test_disks_are_copied_into_a_pool(vm: Vm) -> None:
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


def test_a_file_in_the_way_is_left_alone(vm: Vm) -> None:
    pool = vm.libvirtd.directory / "pool-images"
    theirs = pool / f"{vm.name}-disk-1.qcow2"
    theirs.write_text("somebody's")
    result = vm.run(placement="move", pool="images")
    assert result["failed"] is True
    assert str(theirs) in result["msg"]
    assert theirs.read_text() == "somebody's"
    assert (vm.out / "disk-0.qcow2").exists()
    theirs.unlink()


def test_what_libvirt_refuses_is_undone(vm: Vm) -> None:
    # libvirt takes no two NICs of one MAC address and vCPUs beyond the machine's limit.
    result = vm.run(placement="move", pool="images", cpus=100000)
    assert result["failed"] is True
    assert "libvirt does not take the domain" in result["msg"]
    assert (vm.out / "disk-0.qcow2").exists()
    assert not (vm.directory / "domain.json").exists()
    assert not vm.defined()


def test_new_mac_addresses_stay_the_same(vm: Vm) -> None:
    result = vm.run(mac_policy="new")
    macs = [nic["mac"] for nic in result["nics"]]
    assert all(mac.startswith("52:54:00:") for mac in macs)
    assert len(set(macs)) == 2
    assert [nic["source_mac"] for nic in result["nics"]] == [
        "00:50:56:8a:01:02",
        "00:50:56:8a:01:03",
    ]
    assert vm.run(mac_policy="new")["changed"] is False


def test_secure_boot_and_tpm(vm: Vm) -> None:
    vm.document["vm"].update({"firmware": "uefi", "secureboot": True})
    vm.write_manifest()
    result = vm.run(tpm=True)
    assert result["changed"] is True, result
    root = vm.xml()
    assert root.find("os").get("firmware") == "efi"
    assert root.find("os/loader").get("secure") == "yes"
    features = {
        part.get("name"): part.get("enabled") for part in root.findall("os/firmware/feature")
    }
    assert features == {"secure-boot": "yes", "enrolled-keys": "yes"}
    assert root.find("features/smm").get("state") == "on"
    assert root.find("devices/tpm").get("model") == "tpm-crb"
    assert root.find("devices/tpm/backend").get("type") == "emulator"
    # libvirt's own schema, of what virt-install and we made and of what libvirt wrote down.
    for text in (vm.run(check=True, tpm=True, cpus=1)["xml"], result["xml"]):
        path = vm.directory / "domain.xml"
        path.write_text(text)
        done = subprocess.run(
            ["virt-xml-validate", path, "domain"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_plain_uefi(vm: Vm) -> None:
    vm.document["vm"]["firmware"] = "uefi"
    vm.write_manifest()
    assert vm.run()["changed"] is True
    root = vm.xml()
    assert root.find("os").get("firmware") == "efi"
    features = {
        part.get("name"): part.get("enabled") for part in root.findall("os/firmware/feature")
    }
    assert features == {"secure-boot": "no", "enrolled-keys": "no"}
    assert root.find("devices/tpm") is None


def test_the_domain_runs_and_is_rolled_back_running(vm: Vm) -> None:
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


def test_a_rollback_takes_the_nvram_and_the_tpm_along(vm: Vm) -> None:
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
