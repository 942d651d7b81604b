# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network import udev
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.interface import Nic
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.pinning import pin
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.placing import (
    in_kernel_order,
    path_name,
    slot_number,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.reading import (
    NetworkReading,
    read_network,
)
from ansible_collections.hypersdk.hyper2kvm.tests.unit.plugins.module_utils.guest.network.two_nics import (
    BOTH,
    NETWORKD,
    ONE,
    TWO,
    interfaces,
    tree,
)

GRUB = "/boot/grub/grub.cfg"


def named(reading: NetworkReading) -> dict[str, str]:
    return {each.name: each.nic for each in reading.names}


def test_names_of_pci_slots(tmp_path: Path) -> None:
    reading = read_network(tree(tmp_path, interfaces("ens224", "ens192")), BOTH)
    assert named(reading) == {"ens224": "nic-1", "ens192": "nic-0"}
    assert all(each.used for each in reading.names)
    assert reading.findings == ()
    assert [(each.nic, each.mac, each.address, each.prefix) for each in reading.expected] == [
        ("nic-1", TWO.mac, "192.0.2.10", 24),
        ("nic-0", ONE.mac, "192.0.2.11", 24),
    ]
    assert reading.ways == {"ifupdown": ("/etc/network/interfaces",)}


@pytest.mark.parametrize(
    ("slot", "by_slot", "by_path"),
    [
        (32, 32, "enp2s0"),
        (33, 33, "enp2s1"),
        (160, 160, "enp3s0"),
        (192, 192, "enp11s0"),
        (224, 224, "enp19s0"),
        (256, 256, "enp27s0"),
        (1184, 161, "enp4s0"),
        (2208, 162, "enp5s0"),
        (1216, 193, "enp12s0"),
        (17, 17, ""),
    ],
)
def test_the_numbers_of_vspheres_slots(slot: int, by_slot: int, by_path: str) -> None:
    assert slot_number(slot) == by_slot
    assert path_name(slot) == by_path


def test_names_of_the_bus_and_with_a_suffix(tmp_path: Path) -> None:
    reading = read_network(tree(tmp_path, interfaces("enp11s0", "ens224np0")), BOTH)
    assert named(reading) == {"enp11s0": "nic-0", "ens224np0": "nic-1"}


def test_a_name_with_more_digits_is_another_slots(tmp_path: Path) -> None:
    reading = read_network(tree(tmp_path, interfaces("ens1920")), BOTH)
    assert "ens1920" not in named(reading)
    assert "ens1920" in reading.findings[0].message
    assert reading.findings[0].path == "/etc/network/interfaces"


def test_the_name_that_holds_the_mac(tmp_path: Path) -> None:
    reading = read_network(tree(tmp_path, interfaces("enx0050568a2002")), BOTH)
    assert named(reading)["enx0050568a2002"] == "nic-1"


@pytest.mark.parametrize(
    "line", ["linux /vmlinuz root=x net.ifnames=0 quiet", "\tlinuxefi net.ifnames=0"]
)
def test_the_kernels_names_go_by_the_slots(tmp_path: Path, line: str) -> None:
    files = tree(tmp_path, {**interfaces("eth0", "eth1"), GRUB: f"menuentry x {{\n{line}\n}}\n"})
    reading = read_network(files, BOTH)
    assert named(reading) == {"eth0": "nic-0", "eth1": "nic-1"}
    assert reading.order == ("nic-0", "nic-1") and reading.findings == ()
    assert not pin(files, reading, BOTH).repairs
    turned = read_network(files, (TWO, ONE))
    assert named(turned) == named(reading) and turned.order == ("nic-0", "nic-1")
    assert "nic-0, nic-1" in turned.findings[0].action


def test_the_kernels_names_of_nics_of_several_types_are_doubted(tmp_path: Path) -> None:
    files = tree(tmp_path, {**interfaces("eth0", "eth1"), GRUB: "linux /a net.ifnames=0\n"})
    (finding,) = read_network(files, (ONE, replace(TWO, adapter="e1000"))).findings
    assert f"eth0 is {ONE.mac}" in finding.message and "several types" in finding.message


def test_a_leftover_of_the_other_kind_of_name_is_not_believed(tmp_path: Path) -> None:
    files = tree(tmp_path, {**interfaces("ens192", "eth0"), GRUB: "linux /a net.ifnames=0\n"})
    reading = read_network(files, (ONE,))
    assert named(reading) == {"eth0": "nic-0"} and "ens192" in reading.findings[0].message
    files.write(GRUB, b"linux /a\nlinux /b net.ifnames=0\n")
    reading = read_network(files, (ONE,))
    assert named(reading) == {"ens192": "nic-0"} and "eth0" in reading.findings[0].message


def test_leftovers_of_managers_that_are_not_in_force_are_not_expected(tmp_path: Path) -> None:
    place = "/etc/systemd/network"
    files = tree(
        tmp_path,
        {
            **interfaces("ens192"),
            f"{place}/a.network": "[Match]\nName=ens224\n[Network]\nAddress=192.0.2.99/24\n",
            f"{place}/b.network": "[Match]\nName=ens33\n[Network]\nDHCP=yes\n",
            "/var/lib/cloud/seed/nocloud/network-config": (
                "{version: 2, ethernets: {eth9: {dhcp4: true}}}"
            ),
        },
    )
    both = read_network(files, BOTH)
    assert [each.address for each in both.expected] == ["192.0.2.10", "192.0.2.99"]
    assert both.idle == ("cloud-init",) and both.dhcp == ("ens33",)
    assert [each.path for each in both.findings] == [f"{place}/b.network"]
    files.remove(NETWORKD)
    one = read_network(files, BOTH)
    assert [each.address for each in one.expected] == ["192.0.2.10"]
    assert one.idle == ("systemd-networkd", "cloud-init")
    assert (one.dhcp, one.findings) == ((), ())
    # Its NIC is pinned all the same.
    assert named(one) == {"ens192": "nic-0", "ens224": "nic-1"}
    files.link("/dev/null", "/etc/systemd/system/networking.service")
    assert read_network(files, BOTH).expected == ()


def test_the_fifth_nic_of_a_vm_comes_before_the_second() -> None:
    slots = (160, 192, 224, 256, 1184)
    nics = [Nic(f"nic-{n}", f"00:50:56:00:00:0{n}", slot) for n, slot in enumerate(slots)]
    assert [nic.id for nic in in_kernel_order(nics)] == [
        "nic-0",
        "nic-4",
        "nic-1",
        "nic-2",
        "nic-3",
    ]
    unknown = [replace(nic, slot=None) for nic in reversed(nics)]
    assert in_kernel_order(unknown) == unknown


def test_rules_and_links_say_more_than_slots(tmp_path: Path) -> None:
    rules = (
        "# PCI device\n"
        f'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{{address}}=="{TWO.mac}",'
        ' ATTR{type}=="1", KERNEL=="eth*", NAME="eth0"\n'
    )
    files = tree(
        tmp_path,
        {
            **interfaces("eth0", "lan0"),
            "/etc/udev/rules.d/70-persistent-net.rules": rules,
            "/etc/systemd/network/10-lan.link": f"[Match]\nMACAddress={ONE.mac}\n[Link]\nName=lan0\n",
        },
    )
    reading = read_network(files, BOTH)
    assert named(reading) == {"eth0": "nic-1", "lan0": "nic-0"}
    # Both are given by MAC address already.
    assert not pin(files, reading, BOTH).repairs


def test_the_one_name_that_is_left(tmp_path: Path) -> None:
    files = tree(tmp_path, interfaces("ens192", "eno16777736"))
    assert named(read_network(files, BOTH)) == {"ens192": "nic-0", "eno16777736": "nic-1"}


def test_a_name_of_another_slot_is_not_guessed(tmp_path: Path) -> None:
    reading = read_network(tree(tmp_path, interfaces("ens33")), (ONE,))
    assert named(reading) == {"ens192": "nic-0"}
    assert "ens33" in reading.findings[0].message and ONE.mac in reading.findings[0].message
    assert reading.expected == ()


def test_vmware_tools_addresses_place_a_name(tmp_path: Path) -> None:
    nics = (replace(ONE, slot=None), replace(TWO, slot=None, addresses=("192.0.2.10",)))
    reading = read_network(tree(tmp_path, interfaces("ens33", "ens34")), nics)
    assert named(reading) == {"ens33": "nic-1", "ens34": "nic-0"}


def test_a_bond_with_a_vlan_is_expected_on_its_nics(tmp_path: Path) -> None:
    text = (
        "auto bond0.30\niface bond0 inet manual\n bond-slaves ens192 ens224\n"
        "iface bond0.30 inet static\n address 203.0.113.10/24\n gateway 203.0.113.1\n"
    )
    (expected,) = read_network(tree(tmp_path, {"/etc/network/interfaces": text}), BOTH).expected
    assert (expected.nic, expected.nics, expected.tag) == ("nic-0", ("nic-0", "nic-1"), 30)
    assert (expected.address, expected.gateway) == ("203.0.113.10", "203.0.113.1")


def test_what_cannot_be_on_kvm_is_a_finding(tmp_path: Path) -> None:
    files = tree(
        tmp_path,
        {
            "/usr/sbin/netplan": "",
            "/etc/netplan/a.yaml": "network: {ethernets: {x: {match: {driver: vmxnet3}}}}",
            "/etc/netplan/b.yaml": "{",
            "/etc/systemd/network/a.network": "[Match]\nMACAddress=00:50:56:00:00:99\n",
        },
    )
    found = {each.path: each.message for each in read_network(files, BOTH).findings}
    assert "driver vmxnet3" in found["/etc/netplan/a.yaml"]
    assert "YAML" in found["/etc/netplan/b.yaml"]
    assert "00:50:56:00:00:99" in found["/etc/systemd/network/a.network"]


def test_a_reading_travels_as_json(tmp_path: Path) -> None:
    files = tree(
        tmp_path,
        {
            **interfaces("ens192", "ens33"),
            "/etc/systemd/network/1.link": "[Match]\nMACAddress=00:50:56:8a:20:01\n[Link]\nName=a\n",
            "/usr/lib/systemd/libsystemd-shared-252.so": "",
        },
    )
    reading = read_network(files, BOTH)
    assert reading.udev.systemd == 252
    assert NetworkReading.from_values(json.loads(json.dumps(reading.as_values()))) == reading
    assert json.loads(json.dumps(reading.summary()))["names"][0]["nic"] == "nic-0"


@pytest.mark.parametrize(
    ("contents", "predictable", "ifnames"),
    [
        ({GRUB: "linux /a net.ifnames=0\n"}, False, "0"),
        ({"/etc/default/grub": 'GRUB_CMDLINE_LINUX="net.ifnames=0"\n'}, False, "0"),
        (
            {GRUB: "linux /a\n", "/etc/default/grub": 'GRUB_CMDLINE_LINUX="net.ifnames=0"\n'},
            True,
            "",
        ),
        (
            {
                "/boot/loader/entries/a.conf": "options $kernelopts\n",
                "/boot/grub2/grubenv": "# GRUB\nkernelopts=root=x net.ifnames=0 quiet\n",
            },
            False,
            "0",
        ),
        ({"/boot/loader/entries/a.conf": "options root=x net.ifnames=0\n"}, False, "0"),
        ({GRUB: "# linux net.ifnames=0\nlinux /a xnet.ifnames=0\n"}, True, ""),
        ({"/etc/systemd/network/99-default.link": ""}, False, ""),
        ({"/etc/udev/rules.d/80-net-setup-link.rules": ""}, False, ""),
    ],
)
def test_what_turns_predictable_names_off(
    tmp_path: Path, contents: dict[str, str], predictable: bool, ifnames: str
) -> None:
    found = udev.read(tree(tmp_path, contents))
    assert (found.predictable, found.ifnames) == (predictable, ifnames)
