# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import DirectoryFiles
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network import (
    cloud_init,
    ifupdown,
    keyfiles,
    netplan,
    networkd,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.interface import (
    BOND,
    BRIDGE,
    VLAN,
    Address,
    Interface,
    address,
    mac_address,
    nics_of,
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


def test_ifupdown_follows_what_it_sources(tmp_path: Path) -> None:
    files = tree(
        tmp_path,
        {
            "/etc/network/interfaces": (
                "# comment\nsource interfaces.d/*.cfg\nsource-directory more\n"
                "source /etc/network/interfaces\n"
                "auto lo ens192\niface lo inet loopback\n"
                "iface ens192 inet static\n\taddress 192.0.2.10/24\n\tgateway 192.0.2.1\n"
                "iface ens192 inet6 static\n\taddress 2001:db8::10\n\tnetmask 64\n"
            ),
            "/etc/network/interfaces.d/a.cfg": "allow-hotplug ens224\niface ens224 inet dhcp\n",
            "/etc/network/interfaces.d/.hidden.cfg": "auto hidden\niface hidden inet dhcp\n",
            "/etc/network/interfaces.d/b.bak": "auto scrap\niface scrap inet dhcp\n",
            "/etc/network/more/c": (
                "iface ens256 inet static\n  address 198.51.100.10\n  netmask 255.255.255.0\n"
            ),
            "/etc/network/more/d.disabled": "iface scrap inet dhcp\n",
        },
    )
    found = by_id(ifupdown.read(files))
    assert sorted(found) == ["ens192", "ens224", "ens256"]
    assert found["ens192"].addresses == (FIRST, Address("2001:db8::10", 64))
    assert found["ens192"].gateway == "192.0.2.1" and found["ens192"].automatic
    assert found["ens224"].dhcp and found["ens224"].automatic and not found["ens224"].addresses
    assert found["ens256"].addresses == (Address("198.51.100.10", 24),)
    assert not found["ens256"].automatic
    assert found["ens256"].path == "/etc/network/more/c"


def test_ifupdown_bonds_vlans_bridges_and_aliases() -> None:
    text = """\
auto bond0 bond0.30 br0 vlan7 bond1
iface bond0 inet manual
    bond-slaves ens192 ens224
    bond-mode 802.3ad
iface bond0.30 inet static
    address 203.0.113.10/24
iface br0 inet static
    address 192.0.2.10/24
    bridge_ports ens256 regex eth.*
iface vlan7 inet dhcp
    vlan_raw_device ens256
iface bond1 inet manual
    bond-slaves none
iface ens161 inet manual
    bond-master bond1
iface ens256:1 inet static
    address 192.0.2.11/24 \\
"""
    found = by_id(ifupdown.interfaces(ifupdown.parse(text)))
    assert (found["bond0"].kind, found["bond0"].lower) == (BOND, ("ens192", "ens224"))
    assert (found["bond0.30"].kind, found["bond0.30"].lower) == (VLAN, ("bond0",))
    assert found["bond0.30"].tag == 30
    assert (found["br0"].kind, found["br0"].lower) == (BRIDGE, ("ens256",))
    assert (found["vlan7"].lower, found["vlan7"].tag) == (("ens256",), 7)
    assert (found["bond1"].kind, found["bond1"].lower) == (BOND, ("ens161",))
    assert found["ens256"].addresses == (Address("192.0.2.11", 24),)


def test_netplan_by_mac_by_name_and_what_stands_on_them(tmp_path: Path) -> None:
    files = tree(
        tmp_path,
        {
            "/etc/netplan/01.yaml": f"""\
network:
  version: 2
  ethernets:
    first:
      match: {{macaddress: "{MAC.upper()}"}}
      set-name: ens192
      addresses: [192.0.2.10/24, {{"2001:db8::10/64": {{label: x}}}}]
      routes: [{{to: default, via: 192.0.2.1}}]
    ens224: {{dhcp4: yes}}
    all: {{match: {{name: "en*"}}, dhcp6: true}}
    old: {{match: {{driver: vmxnet3}}}}
    only: {{match: {{macaddress: {MAC}}}}}
  bonds:
    bond0: {{interfaces: [first, ens224], parameters: {{mode: active-backup}}}}
  vlans:
    bond0.30: {{id: 30, link: bond0, addresses: [203.0.113.10/24]}}
  bridges:
    br0: {{interfaces: [ens256], activation-mode: manual}}
""",
            "/etc/netplan/02.yaml": "network: {ethernets: {ens224: {addresses: [198.51.100.10/24]}}}\n",
            "/usr/lib/netplan/01.yaml": "network: {ethernets: {hidden: {dhcp4: true}}}\n",
            "/etc/netplan/03.yaml": "network: [\n",
        },
    )
    interfaces, unreadable = netplan.read(files)
    assert [path for path, _error in unreadable] == ["/etc/netplan/03.yaml"]
    found = by_id(interfaces)
    assert "hidden" not in found
    assert (found["first"].name, found["first"].mac) == ("ens192", MAC)
    assert found["first"].names_itself and found["first"].gateway == "192.0.2.1"
    assert found["first"].addresses == (FIRST, Address("2001:db8::10", 64))
    assert found["ens224"].dhcp and found["ens224"].addresses == (Address("198.51.100.10", 24),)
    assert found["ens224"].path == "/etc/netplan/02.yaml"
    assert found["all"].is_pattern and found["all"].dhcp
    assert found["old"].found_by == "driver vmxnet3" and found["old"].name == ""
    assert (found["only"].name, found["only"].mac) == ("", MAC)
    assert found["bond0"].lower == ("first", "ens224")
    assert (found["bond0.30"].lower, found["bond0.30"].tag) == (("bond0",), 30)
    assert found["br0"].kind == BRIDGE and not found["br0"].automatic


def test_netplan_takes_a_mac_for_text_where_yaml_sees_a_number() -> None:
    document = netplan.load(
        "network: {ethernets: {a: {match: {macaddress: 00:10:20:30:40:50}}}}", ""
    )
    assert netplan.interfaces([("", document)])[0].mac == "00:10:20:30:40:50"


def test_networkd_with_drop_ins_and_devices(tmp_path: Path) -> None:
    place = "/etc/systemd/network"
    files = tree(
        tmp_path,
        {
            f"{place}/10-a.network": f"[Match]\nMACAddress={MAC}\n[Network]\nDHCP=no\n",
            f"{place}/10-a.network.d/x.conf": (
                "[Network]\nAddress=192.0.2.10/24\n[Route]\nGateway=192.0.2.1\n"
            ),
            f"{place}/20-b.network": "[Match]\nName=ens224 ens256\n[Network]\nBond=bond0\n",
            f"{place}/30.netdev": "[NetDev]\nName=bond0\nKind=bond\n",
            f"{place}/31.network": "[Match]\nName=bond0\n[Network]\nVLAN=bond0.30\nDHCP=ipv4\n",
            f"{place}/32.netdev": "[NetDev]\nName=bond0.30\nKind=vlan\n[VLAN]\nId=30\n",
            f"{place}/33.network": (
                "[Match]\nName=bond0.30\n[Address]\nAddress=203.0.113.10/24\n"
                "[Route]\nDestination=198.51.100.0/24\nGateway=203.0.113.9\n"
            ),
            f"{place}/40.network": "[Match]\nDriver=vmxnet3\n[Network]\nDHCP=yes\n",
            f"{place}/50.network": "[Match]\nName=!ens192 en*\n[Link]\nUnmanaged=yes\n",
            f"{place}/60.netdev": "[NetDev]\nKind=bridge\n",
            "/usr/lib/systemd/network/80-vendor.network": "[Match]\nName=ve-*\n",
        },
    )
    found = by_id(networkd.read(files))
    first = found[f"{place}/10-a.network#{MAC}"]
    assert (first.name, first.mac, first.addresses) == ("", MAC, (FIRST,))
    assert first.gateway == "192.0.2.1" and not first.dhcp
    assert (found["bond0"].kind, found["bond0"].lower) == (BOND, ("ens224", "ens256"))
    assert found["bond0"].dhcp
    assert (found["bond0.30"].kind, found["bond0.30"].lower) == (VLAN, ("bond0",))
    assert (found["bond0.30"].tag, found["bond0.30"].gateway) == (30, "")
    assert found["en*"].is_pattern and not found["en*"].automatic
    assert [each.found_by for each in found.values() if each.found_by] == ["driver vmxnet3"]
    assert "ve-*" not in found


KEYFILE = """\
[connection]
id=static
uuid=0c5c5d2e-0000-4000-8000-000000000001
type=ethernet
{connection}
[ethernet]
{ethernet}
[ipv4]
{ipv4}
[ipv6]
method=ignore
"""


def keyfile(connection: str = "", ethernet: str = "", ipv4: str = "method=auto") -> Interface:
    text = KEYFILE.format(connection=connection, ethernet=ethernet, ipv4=ipv4)
    parsed = keyfiles.parse(text, "/k")
    assert parsed is not None
    return parsed[0]


def test_keyfiles_by_name_and_by_mac_in_every_form() -> None:
    named = keyfile("interface-name=ens192", ipv4="method=manual\naddress1=192.0.2.10/24,192.0.2.1")
    assert (named.name, named.addresses, named.gateway) == ("ens192", (FIRST,), "192.0.2.1")
    assert not named.dhcp and named.automatic
    by_mac = keyfile("autoconnect=false", f"mac-address={MAC.upper()}")
    assert (by_mac.name, by_mac.mac) == ("", MAC) and by_mac.dhcp and not by_mac.automatic
    assert keyfile(ethernet="mac-address=0;80;86;138;32;1;").mac == MAC
    old = keyfile(ipv4="method=manual\naddresses1=192.0.2.10;24;192.0.2.1;")
    assert old.addresses == () or old.addresses[0].address == "192.0.2.10"
    assert keyfiles.parse("[connection]\nid=x\ntype=wifi\n", "/w") is None
    assert keyfiles.parse("no keyfile", "/w") is None


def test_keyfiles_ports_name_their_controller(tmp_path: Path) -> None:
    place = "/etc/NetworkManager/system-connections"
    files = tree(
        tmp_path,
        {
            f"{place}/bond.nmconnection": (
                "[connection]\nid=b\nuuid=u-1\ntype=bond\ninterface-name=bond0\n"
            ),
            f"{place}/p1.nmconnection": (
                "[connection]\nid=p1\nuuid=u-2\ntype=ethernet\ninterface-name=ens192\n"
                "master=bond0\nslave-type=bond\n"
            ),
            f"{place}/p2": (
                "[connection]\nid=p2\nuuid=u-3\ntype=802-3-ethernet\ncontroller=u-1\n"
                f"[802-3-ethernet]\nmac-address={MAC}\n"
            ),
            f"{place}/v.nmconnection": (
                "[connection]\nid=v\nuuid=u-4\ntype=vlan\n[vlan]\nparent=u-1\nid=30\n"
                "interface-name=bond0.30\n[ipv4]\nmethod=manual\naddress1=203.0.113.10/24\n"
            ),
            f"{place}/old.nmconnection.bak": "[connection]\nid=x\ntype=ethernet\ninterface-name=x\n",
        },
    )
    found = by_id(keyfiles.read(files))
    assert found["bond0"].lower == ("ens192", "u-3")
    assert (found["bond0.30"].lower, found["bond0.30"].tag) == (("bond0",), 30)
    assert "x" not in found


def test_cloud_inits_own_configuration(tmp_path: Path) -> None:
    files = tree(
        tmp_path,
        {
            "/etc/cloud/cloud.cfg": "datasource_list: [VMware]\n",
            "/var/lib/cloud/seed/nocloud/network-config": f"""\
version: 1
config:
- type: physical
  name: ens192
  mac_address: "{MAC}"
  subnets:
  - {{type: static, address: 192.0.2.10, netmask: 255.255.255.0, gateway: 192.0.2.1}}
- type: nameserver
""",
            "/usr/bin/cloud-init": "",
        },
    )
    interfaces, unreadable = cloud_init.read(files)
    assert unreadable == []
    (found,) = interfaces
    assert (found.name, found.mac) == ("ens192", MAC)
    assert (found.addresses, found.gateway) == ((FIRST,), "192.0.2.1")
    assert cloud_init.would_write(files)
    (repair,) = cloud_init.keep_from_writing(files)
    assert repair.path == cloud_init.SWITCHED_OFF
    assert not cloud_init.would_write(files) and cloud_init.keep_from_writing(files) == []


def test_cloud_init_is_left_alone_where_it_writes_nothing_new(tmp_path: Path) -> None:
    assert not cloud_init.would_write(DirectoryFiles(tmp_path))
    files = tree(tmp_path, {"/usr/bin/cloud-init": ""})
    assert cloud_init.would_write(files)
    files.write("/etc/cloud/cloud.cfg.d/50-curtin.cfg", b"network: {version: 2, ethernets: {}}\n")
    assert not cloud_init.would_write(files)
    files.remove("/etc/cloud/cloud.cfg.d/50-curtin.cfg")
    files.write("/etc/cloud/cloud-init.disabled", b"")
    assert not cloud_init.would_write(files)


def test_addresses_in_every_form() -> None:
    assert address("192.0.2.10/24") == address("192.0.2.10", "255.255.255.0") == FIRST
    assert address(" '192.0.2.10' ", "24") == FIRST
    assert address("192.0.2.10") == Address("192.0.2.10", 32)
    for text in ("", "dhcp", "0.0.0.0/0", "127.0.0.1/8", "192.0.2.10/33", "1.2.3"):
        assert address(text) is None
    assert mac_address("00-50-56-8A-20-01") == mac_address(f'"{MAC}"') == MAC
    assert mac_address("00:50:56") == mac_address("0;80;86;138;32;999") == ""


def test_the_manifests_nics() -> None:
    nics = nics_of(
        {
            "nics": [
                {"id": "a", "mac": MAC.upper(), "pci_slot": 192, "addresses": ["192.0.2.10"]},
                {"id": "b", "mac": ""},
                {"mac": MAC, "pci_slot": None},
            ]
        }
    )
    assert [(nic.id, nic.mac, nic.slot, nic.addresses) for nic in nics] == [
        ("a", MAC, 192, ("192.0.2.10",)),
        ("nic-2", MAC, None, ()),
    ]
    assert nics_of({}) == ()
