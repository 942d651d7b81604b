# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from pyVmomi import vim

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.guest_network import (
    GuestNetwork,
    IpConfig,
    guest_networks,
)

NicInfo, StackInfo = vim.vm.GuestInfo.NicInfo, vim.vm.GuestInfo.StackInfo
Route, Gateway = vim.net.IpRouteConfigInfo.IpRoute, vim.net.IpRouteConfigInfo.Gateway


def nic(mac: str, *addresses: str, **more: Any) -> Any:
    return NicInfo(macAddress=mac, ipAddress=list(addresses), **more)


def dns(*servers: str, domain: str = "", search: tuple[str, ...] = ()) -> Any:
    return vim.net.DnsConfigInfo(
        ipAddress=list(servers), domainName=domain, searchDomain=list(search)
    )


def route(network: str, prefix: int, gateway: str | None, device: str) -> Any:
    hop = Gateway(ipAddress=gateway, device=device)
    return Route(network=network, prefixLength=prefix, gateway=hop)


def stack(*routes: Any, **more: Any) -> Any:
    return StackInfo(ipRouteConfig=vim.net.IpRouteConfigInfo(ipRoute=list(routes)), **more)


def test_nothing_is_reported() -> None:
    assert guest_networks([], []) == {}
    assert guest_networks([nic("00:50:56:AA:00:01")], []) == {"00:50:56:aa:00:01": GuestNetwork()}


def test_default_routes_belong_to_the_nic_that_they_name() -> None:
    found = guest_networks(
        [nic("a", "192.0.2.10"), nic("b", "198.51.100.10")],
        [
            stack(
                route("0.0.0.0", 0, "198.51.100.1", "1"),
                route("::", 0, "2001:db8::1", "1"),
                route("0.0.0.0", 0, "198.51.100.1", "1"),
                # Neither a network's own route nor one without a gateway is a default route.
                route("192.0.2.0", 24, "192.0.2.1", "0"),
                route("0.0.0.0", 1, "192.0.2.1", "0"),
                route("0.0.0.0", 0, None, "0"),
            )
        ],
    )
    assert found["a"].gateways == ()
    assert found["b"].gateways == ("198.51.100.1", "2001:db8::1")


def test_name_servers_of_linux_are_those_of_the_stack_and_of_windows_the_nics() -> None:
    linux = guest_networks(
        [nic("a")], [stack(dnsConfig=dns("192.0.2.53", domain="example.com", search=("lab",)))]
    )["a"]
    assert linux.dns_servers == ("192.0.2.53",)
    assert linux.dns_search == ("lab", "example.com")
    windows = guest_networks(
        [nic("a", dnsConfig=dns("192.0.2.54")), nic("b", dnsConfig=dns())],
        [stack(dnsConfig=dns("192.0.2.53"))],
    )
    assert windows["a"].dns_servers == ("192.0.2.54",)
    assert windows["b"].dns_servers == ("192.0.2.53",)


def test_prefixes() -> None:
    address = vim.net.IpConfigInfo.IpAddress(ipAddress="192.0.2.10", prefixLength=24)
    config = vim.net.IpConfigInfo(ipAddress=[address])
    (network,) = guest_networks([nic("a", "192.0.2.10", ipConfig=config)], []).values()
    assert network.ip_config == (IpConfig("192.0.2.10", 24, ""),)


def test_a_record_keeps_it_as_it_is() -> None:
    network = GuestNetwork(
        ("192.0.2.10",), (IpConfig("192.0.2.10", 24, "dhcp"),), ("192.0.2.1",), ("192.0.2.53",), ()
    )
    assert GuestNetwork.from_dict(network.as_dict()) == network
    with pytest.raises(KeyError):
        GuestNetwork.from_dict({})
