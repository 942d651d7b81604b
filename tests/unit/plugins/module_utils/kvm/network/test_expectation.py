# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.network.expectation import (
    neighbour_of,
)


@pytest.mark.parametrize(
    ("address", "prefix", "gateway", "taken", "asker"),
    [
        ("192.0.2.10", 24, "192.0.2.1", [], "192.0.2.1"),
        # A gateway of another network is none of this one's neighbours.
        ("192.0.2.10", 24, "198.51.100.1", [], "192.0.2.11"),
        ("192.0.2.10", None, None, ["192.0.2.11"], "192.0.2.8"),
        # Neither the network's own address nor its broadcast address.
        ("192.0.2.1", 24, None, [], "192.0.2.3"),
        ("192.0.2.254", 24, None, [], "192.0.2.252"),
        ("192.0.2.10", 30, None, [], "192.0.2.9"),
        ("192.0.2.10", 31, None, [], "192.0.2.11"),
        ("192.0.2.10", 32, "203.0.113.1", [], "203.0.113.1"),
        ("192.0.2.10", 32, None, [], "192.0.2.1"),
        ("2001:db8::10", 64, None, [], "2001:db8::11"),
        ("2001:db8::10", 128, None, [], "2001:db8::1"),
    ],
)
def test_who_asks(
    address: str, prefix: int | None, gateway: str | None, taken: list[str], asker: str
) -> None:
    found = neighbour_of(
        ip_address(address),
        prefix,
        None if gateway is None else ip_address(gateway),
        [ip_address(other) for other in taken],
    )
    assert found == ip_address(asker)


def test_any_address_has_a_neighbour() -> None:
    network = ip_network("192.0.2.0/28")
    for address in network.hosts():
        asker = neighbour_of(address, 28, None, [])
        assert asker in network
        assert asker not in (address, network.network_address, network.broadcast_address)
