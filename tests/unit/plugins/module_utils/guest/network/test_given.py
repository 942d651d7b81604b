# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a guest must answer at once the user has given it network files."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import DirectoryFiles
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.given import (
    with_given,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.reading import (
    NetworkReading,
    read_network,
)
from ansible_collections.hypersdk.hyper2kvm.tests.unit.plugins.module_utils.guest.network.two_nics import (
    BOTH,
    NETWORKD,
    interfaces,
    tree,
)

OLD = "/etc/systemd/network/10-lan.network"
GIVEN = "/etc/systemd/network/50-moved.network"
PROFILE = "/etc/NetworkManager/system-connections/moved.nmconnection"


def network(name: str, *lines: str) -> str:
    return f"[Match]\nName={name}\n\n[Network]\n" + "".join(f"{line}\n" for line in lines)


def given(files: DirectoryFiles, contents: dict[str, str]) -> NetworkReading:
    """Return what is read once hyper2kvm has put the user's files there."""
    before = read_network(files, BOTH)
    for path, content in contents.items():
        files.write(path, content.encode())
    return with_given(files, before, BOTH, list(contents))


def addresses(reading: NetworkReading) -> list[tuple[str, str]]:
    return [(each.nic, each.address) for each in reading.expected]


def test_a_file_in_the_place_of_the_guest_s(tmp_path: Path) -> None:
    files = tree(tmp_path, {OLD: network("ens192", "Address=192.0.2.10/24")})
    moved = network("ens192", "Address=198.51.100.10/25", "Gateway=198.51.100.1")
    reading = given(files, {OLD: moved})
    (expected,) = reading.expected
    assert (expected.nic, expected.address, expected.prefix) == ("nic-0", "198.51.100.10", 25)
    assert (expected.gateway, reading.findings) == ("198.51.100.1", ())


def test_nics_that_no_file_is_given_for_answer_as_before(tmp_path: Path) -> None:
    files = tree(tmp_path, interfaces("ens192", "ens224"))
    reading = given(files, {GIVEN: network("ens192", "Address=198.51.100.10/24")})
    assert sorted(addresses(reading)) == [("nic-0", "198.51.100.10"), ("nic-1", "192.0.2.11")]
    (finding,) = reading.findings
    assert finding.path == "/etc/network/interfaces"
    assert "ens192 as well" in finding.message and GIVEN in finding.message
    assert "Turn ifupdown off" in finding.action


def test_an_address_by_dhcp_is_none_to_expect(tmp_path: Path) -> None:
    files = tree(tmp_path, {OLD: network("ens192", "Address=192.0.2.10/24")})
    reading = given(files, {OLD: network("ens192", "DHCP=yes")})
    assert (addresses(reading), reading.dhcp) == ([], ("ens192",))


def test_a_vlan_of_the_guest_s_stays_on_its_nic(tmp_path: Path) -> None:
    vlan = {
        "/etc/systemd/network/20-v.netdev": "[NetDev]\nName=v30\nKind=vlan\n[VLAN]\nId=30\n",
        "/etc/systemd/network/20-v.network": network("v30", "Address=203.0.113.9/24"),
        OLD: network("ens192", "Address=192.0.2.10/24", "VLAN=v30"),
    }
    reading = given(
        tree(tmp_path, vlan), {OLD: network("ens192", "Address=198.51.100.10/24", "VLAN=v30")}
    )
    assert sorted(addresses(reading)) == [("nic-0", "198.51.100.10"), ("nic-0", "203.0.113.9")]
    assert reading.findings == ()


def test_a_given_vlan_leaves_what_is_not_in_it(tmp_path: Path) -> None:
    vlan = {
        "/etc/systemd/network/20-v.netdev": "[NetDev]\nName=v30\nKind=vlan\n[VLAN]\nId=30\n",
        "/etc/systemd/network/20-v.network": network("v30", "Address=203.0.113.9/24"),
        OLD: network("ens192", "Address=192.0.2.10/24", "VLAN=v30"),
    }
    reading = given(tree(tmp_path, vlan), {GIVEN: network("v30", "Address=198.51.100.30/24")})
    assert sorted(addresses(reading)) == [("nic-0", "192.0.2.10"), ("nic-0", "198.51.100.30")]
    assert [each.tag for each in reading.expected if each.address == "198.51.100.30"] == [30]
    (finding,) = reading.findings
    assert finding.path == "/etc/systemd/network/20-v.network"
    assert finding.action.startswith("Name yours")


def test_a_profile_for_a_mac_address(tmp_path: Path) -> None:
    profile = (
        f"[connection]\ntype=ethernet\n[ethernet]\nmac-address={BOTH[1].mac.upper()}\n"
        "[ipv4]\nmethod=manual\naddress1=198.51.100.11/24,198.51.100.1\n"
    )
    reading = given(tree(tmp_path, interfaces("ens192")), {PROFILE: profile})
    assert sorted(addresses(reading)) == [("nic-0", "192.0.2.10"), ("nic-1", "198.51.100.11")]


def test_a_file_of_a_manager_that_is_not_in_force(tmp_path: Path) -> None:
    files = tree(tmp_path, interfaces("ens192"))
    files.remove(NETWORKD)
    reading = given(files, {GIVEN: network("ens192", "Address=198.51.100.10/24")})
    assert addresses(reading) == [("nic-0", "192.0.2.10")]
    (finding,) = reading.findings
    assert finding.path == GIVEN and "enable_networkd" in finding.action


@pytest.mark.parametrize("name", ["eth7", "moved0"])
def test_a_file_for_an_interface_that_is_not_there(tmp_path: Path, name: str) -> None:
    files = tree(tmp_path, interfaces("ens192", "ens224"))
    reading = given(files, {GIVEN: network(name, "Address=198.51.100.10/24")})
    assert addresses(reading) == [("nic-0", "192.0.2.10"), ("nic-1", "192.0.2.11")]
    assert f"is for {name}" in reading.findings[0].message
