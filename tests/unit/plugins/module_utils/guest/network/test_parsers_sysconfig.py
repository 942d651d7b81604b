# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import DirectoryFiles
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network import (
    ifcfg,
    wicked,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.interface import (
    BOND,
    ETHERNET,
    VLAN,
    Address,
    Interface,
)

MAC = "00:50:56:8a:20:01"
FIRST = Address("192.0.2.10", 24)


def tree(root: Path, contents: dict[str, str]) -> DirectoryFiles:
    files = DirectoryFiles(root)
    for path, content in contents.items():
        files.write(path, content.encode())
    return files


def by_id(interfaces: list[Interface]) -> dict[str, Interface]:
    return {each.id: each for each in interfaces}


def test_rhels_files(tmp_path: Path) -> None:
    place = "/etc/sysconfig/network-scripts"
    files = tree(
        tmp_path,
        {
            "/etc/sysconfig/network": "GATEWAY=192.0.2.1\n",
            f"{place}/ifcfg-lo": "DEVICE=lo\n",
            f"{place}/ifcfg-ens192": (
                '# System\nDEVICE="ens192"\nHWADDR=00:50:56:8A:20:01\nONBOOT=yes # at boot\n'
                "BOOTPROTO=none\nIPADDR=192.0.2.10\nNETMASK=255.255.255.0\n"
                "IPADDR1='198.51.100.10'\nPREFIX1=25\nIPV6ADDR=2001:db8::10/64\n"
            ),
            f"{place}/ifcfg-ens192:1": "DEVICE=ens192:1\nIPADDR=192.0.2.11\nPREFIX=24\n",
            f"{place}/ifcfg-bond0": "DEVICE=bond0\nBONDING_OPTS='mode=4 miimon=100'\nONBOOT=no\n",
            f"{place}/ifcfg-ens224": "DEVICE=ens224\nMASTER=bond0\nSLAVE=yes\n",
            f"{place}/ifcfg-bond0.30": "DEVICE=bond0.30\nVLAN=yes\nBRIDGE=br0\n",
            f"{place}/ifcfg-br0": "DEVICE=br0\nTYPE=Bridge\nBOOTPROTO=dhcp\n",
            f"{place}/ifcfg-vlan7": "DEVICE=vlan7\nTYPE=Vlan\nPHYSDEV=ens256\nVLAN_ID=7\n",
            f"{place}/ifcfg-ens192.bak": "DEVICE=scrap\n",
            f"{place}/ifcfg-ens224.hyper2kvm_backup_20260101": "DEVICE=scrap\n",
        },
    )
    found = by_id(ifcfg.read_rhel(files))
    assert "scrap" not in found and "lo" not in found
    first = found["ens192"]
    assert (first.mac, first.automatic) == (MAC, True)
    assert first.addresses == (
        FIRST,
        Address("198.51.100.10", 25),
        Address("2001:db8::10", 64),
        Address("192.0.2.11", 24),
    )
    assert first.gateway == "192.0.2.1"
    assert (found["bond0"].kind, found["bond0"].lower) == (BOND, ("ens224",))
    assert not found["bond0"].automatic
    assert (found["bond0.30"].lower, found["bond0.30"].tag) == (("bond0",), 30)
    assert found["br0"].lower == ("bond0.30",) and found["br0"].dhcp
    assert (found["vlan7"].lower, found["vlan7"].tag) == (("ens256",), 7)


def test_suses_files(tmp_path: Path) -> None:
    place = "/etc/sysconfig/network"
    files = tree(
        tmp_path,
        {
            f"{place}/ifcfg-eth0": (
                "BOOTPROTO='static'\nSTARTMODE='auto'\nIPADDR='192.0.2.10/24'\n"
                "IPADDR_1='198.51.100.10'\nNETMASK_1='255.255.255.0'\n"
            ),
            f"{place}/ifcfg-eth1": "BOOTPROTO='dhcp'\nSTARTMODE='off'\n",
            f"{place}/ifcfg-eth-id-{MAC}": "BOOTPROTO='dhcp'\nSTARTMODE=onboot\n",
            f"{place}/ifcfg-bond0": (
                "STARTMODE=auto\nBONDING_MASTER='yes'\nBONDING_SLAVE_0='eth2'\nBONDING_SLAVE_1='eth3'\n"
            ),
            f"{place}/ifcfg-vlan30": "ETHERDEVICE='bond0'\nVLAN_ID='30'\nSTARTMODE=auto\n",
            f"{place}/ifcfg-br0": "BRIDGE='yes'\nBRIDGE_PORTS='eth4 eth5'\nSTARTMODE=auto\n",
            f"{place}/ifcfg.template": "BOOTPROTO=dhcp\n",
            f"{place}/routes": "# d\ndefault 192.0.2.1 - -\n10.0.0.0/8 192.0.2.9 - eth0\n",
        },
    )
    found = by_id(ifcfg.read_suse(files))
    assert found["eth0"].addresses == (FIRST, Address("198.51.100.10", 24))
    assert found["eth0"].gateway == "192.0.2.1" and found["eth0"].automatic
    assert found["eth1"].dhcp and not found["eth1"].automatic
    assert (found[MAC].mac, found[MAC].name) == (MAC, "")
    assert found["bond0"].lower == ("eth2", "eth3")
    assert (found["vlan30"].kind, found["vlan30"].lower, found["vlan30"].tag) == (
        VLAN,
        ("bond0",),
        30,
    )
    assert found["br0"].lower == ("eth4", "eth5")


def test_wickeds_files(tmp_path: Path) -> None:
    files = tree(
        tmp_path,
        {
            "/etc/wicked/ifconfig/a.xml": """\
<?xml version="1.0"?>
<interface>
  <name>eth0</name>
  <control><mode>boot</mode></control>
  <ipv4:static>
    <address><local>192.0.2.10/24</local></address>
    <route><nexthop><gateway>192.0.2.1</gateway></nexthop></route>
  </ipv4:static>
</interface>
<interface>
  <name>vlan30</name>
  <vlan><device>eth0</device><tag>30</tag></vlan>
  <ipv4:dhcp><enabled>true</enabled></ipv4:dhcp>
</interface>
""",
            "/etc/wicked/ifconfig/b.xml": "<interface>",
            "/etc/wicked/ifconfig/c.xml": "<!DOCTYPE a [<!ENTITY b 'c'>]><interface/>",
        },
    )
    interfaces, unreadable = wicked.read(files)
    assert [path[-5:] for path, _error in unreadable] == ["b.xml", "c.xml"]
    found = by_id(interfaces)
    assert (found["eth0"].kind, found["eth0"].addresses) == (ETHERNET, (FIRST,))
    assert found["eth0"].gateway == "192.0.2.1" and found["eth0"].automatic
    assert (found["vlan30"].lower, found["vlan30"].tag) == (("eth0",), 30)
    assert found["vlan30"].dhcp
