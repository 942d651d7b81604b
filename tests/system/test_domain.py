# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""kvm_domain against a real libvirtd: what is defined, and left alone when it is there already."""

from __future__ import annotations

import subprocess

from ansible_collections.hypersdk.hyper2kvm.tests.support.domain_vms import DomainVm


def test_a_domain_is_what_the_manifest_describes(vm: DomainVm) -> None:
    digests = vm.digests()
    result = vm.run()
    assert result["changed"] is True, result
    assert result["virt_type"] in ("kvm", "qemu")
    root = vm.xml()
    assert root.findtext("vcpu") == "2"
    # Windows for clients uses two sockets at most.
    assert root.find("cpu/topology").get("sockets") == "1"
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


def test_a_name_that_virt_install_does_not_take(vm: DomainVm) -> None:
    name = 'Web Server 01 (old), "Bü" & <co>'
    options = {"name": name, "placement": "move", "pool": "images"}
    result = vm.run(**options)
    assert (result["changed"], result["name"]) == (True, name), result
    assert name in vm.libvirtd.virsh("list", "--all", "--name").splitlines()
    assert vm.run(**options)["changed"] is False
    assert vm.run(state="absent", name=name)["changed"] is True
    assert name not in vm.libvirtd.virsh("list", "--all", "--name").splitlines()
    assert (vm.out / "disk-0.qcow2").exists()


def test_a_second_run_changes_nothing(vm: DomainVm) -> None:
    vm.run()
    before = vm.libvirtd.virsh("dumpxml", "--inactive", vm.name)
    again = vm.run()
    assert (again["changed"], again["edited"]) == (False, False)
    assert "diff" not in again
    assert vm.libvirtd.virsh("dumpxml", "--inactive", vm.name) == before


def test_check_mode_says_what_would_be(vm: DomainVm) -> None:
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


def test_other_options_define_it_anew(vm: DomainVm) -> None:
    first = vm.run()
    result = vm.run(cpus=4, memory_mb=128)
    assert (result["changed"], result["uuid"]) == (True, first["uuid"])
    assert "<vcpu placement='static'>2<" in result["diff"]["before"]
    root = vm.xml()
    assert (root.findtext("vcpu"), root.findtext("memory")) == ("4", str(128 * 1024))
    assert vm.run(cpus=4, memory_mb=128)["changed"] is False


def test_an_edit_is_kept(vm: DomainVm) -> None:
    vm.run()
    vm.libvirtd.virsh("setvcpus", vm.name, "1", "--config")
    again = vm.run()
    assert (again["changed"], again["edited"]) == (False, True)
    refused = vm.run(memory_mb=128)
    assert refused["failed"] is True
    assert "was edited" in refused["msg"]
    assert vm.xml().find("vcpu").get("current") == "1"


def test_new_mac_addresses_stay_the_same(vm: DomainVm) -> None:
    result = vm.run(mac_policy="new")
    macs = [nic["mac"] for nic in result["nics"]]
    assert all(mac.startswith("52:54:00:") for mac in macs)
    assert len(set(macs)) == 2
    assert [nic["source_mac"] for nic in result["nics"]] == [
        "00:50:56:8a:01:02",
        "00:50:56:8a:01:03",
    ]
    assert vm.run(mac_policy="new")["changed"] is False


def test_secure_boot_and_tpm(vm: DomainVm) -> None:
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


def test_plain_uefi(vm: DomainVm) -> None:
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


def macs_of(vm: DomainVm) -> list[str]:
    return [nic.find("mac").get("address", "") for nic in vm.xml().findall("devices/interface")]


def test_nics_are_in_the_order_that_the_guest_needs(vm: DomainVm) -> None:
    vm.write_record(order=["nic-1", "nic-0"])
    result = vm.run()
    assert result["changed"] is True, result
    assert [nic["id"] for nic in result["nics"]] == ["nic-1", "nic-0"]
    assert macs_of(vm) == ["00:50:56:8a:01:03", "00:50:56:8a:01:02"]
    # What the guest's kernel goes by: the bus that libvirt gave to each.
    buses = [
        int(nic.find("address").get("bus", ""), 16) for nic in vm.xml().findall("devices/interface")
    ]
    assert buses == sorted(buses)
    networks = [nic.find("source").get("network") for nic in vm.xml().findall("devices/interface")]
    assert networks == ["dmz", "lan"]
    assert vm.run()["changed"] is False


def test_new_mac_addresses_are_those_that_the_guest_was_bound_to(vm: DomainVm) -> None:
    bound = {"nic-0": "52:54:00:aa:00:01", "nic-1": "52:54:00:aa:00:02"}
    names = [{"name": "ens192", "nic": "nic-0"}]
    vm.write_record(names=names, macs=bound)
    refused = vm.run()
    assert refused["failed"] is True and "mac_policy: new" in refused["msg"]
    result = vm.run(mac_policy="new")
    assert macs_of(vm) == list(bound.values())
    assert "bound_names" not in result
    vm.run(state="absent")
    vm.write_record(names=names, macs={})
    warned = vm.run(mac_policy="new")
    assert warned["bound_names"] == ["ens192"]
    assert "Convert with mac_policy: new" in str(warned["warnings"])
