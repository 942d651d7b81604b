# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.network import packets
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.network.ethernet import (
    IPV4,
    IPV6,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.network.packets import (
    Discovery,
    Packet,
)

V4 = (IPv4Address("192.0.2.1"), IPv4Address("192.0.2.10"))
V6 = (IPv6Address("2001:db8::1"), IPv6Address("2001:db8::10"))
MAC = bytes.fromhex("525500000001")
# RFC 1071's own example.
RFC1071 = bytes.fromhex("0001f203f4f5f6f7")


def test_checksum() -> None:
    assert packets.checksum(RFC1071) == 0xFFFF - 0xDDF2
    assert packets.checksum(RFC1071 + (0xFFFF - 0xDDF2).to_bytes(2, "big")) == 0
    assert packets.checksum(b"\x01") == packets.checksum(b"\x01\x00")


@pytest.mark.parametrize(("kind", "ends"), [(IPV4, V4), (IPV6, V6)])
def test_there_and_back(kind: int, ends: tuple[packets.Address, packets.Address]) -> None:
    packet = packets.echo_request(*ends, 0x4801, 3)
    assert packet.kind == kind
    # A short frame is padded; the packet says where it ends.
    assert Packet.parse(kind, packet.packed().ljust(60, b"\0")) == packet
    if kind == IPV4:
        assert packets.checksum(packet.packed()[:20]) == 0
        assert packets.checksum(packet.payload) == 0
    else:
        assert packets.transport_checksum(*ends, packets.ICMP6, packet.payload) == 0


@pytest.mark.parametrize("ends", [V4, V6])
def test_a_ping_and_its_answer(ends: tuple[packets.Address, packets.Address]) -> None:
    ping = packets.echo_request(*ends, 0x4801, 3)
    assert packets.echo_answered(ping) is None
    reply = packets.echo_reply(ping)
    assert reply is not None
    assert (reply.source, reply.destination) == (ends[1], ends[0])
    assert packets.echo_answered(reply) == (0x4801, 3)
    assert packets.echo_reply(reply) is None


def test_neighbour_discovery() -> None:
    asked = packets.solicitation(V6[0], V6[1], MAC)
    assert asked.destination == IPv6Address("ff02::1:ff00:10")
    assert packets.multicast_mac(IPv6Address("ff02::1:ff00:10")).hex() == "3333ff000010"
    found = Discovery.parse(asked)
    assert found == Discovery(packets.NEIGHBOUR_SOLICITATION, V6[1])
    answer = Discovery.parse(packets.advertisement(V6[1], V6[0], MAC))
    assert answer == Discovery(packets.NEIGHBOUR_ADVERTISEMENT, V6[1])
    # Neighbour discovery is believed with this hop limit only.
    assert asked.packed()[7] == 255
    announced = packets.router_advertisement(V6[0], MAC, [IPv6Network("2001:db8::/64")])
    assert Discovery.parse(announced) is None
    assert announced.payload[0] == packets.ROUTER_ADVERTISEMENT
    assert IPv6Address("2001:db8::").packed in announced.payload


def test_a_header_of_multicast_reports() -> None:
    inner = packets.echo_request(*V6, 1, 1)
    hops = bytes([packets.ICMP6, 0, 5, 2, 0, 0, 1, 0])
    outer = Packet(*V6, 0, hops + inner.payload)
    assert Packet.parse(IPV6, outer.packed()) == inner


def test_fragments_are_left_alone() -> None:
    raw = bytearray(packets.echo_request(*V4, 1, 1).packed())
    raw[6] = 0x20
    assert Packet.parse(IPV4, bytes(raw)) is None


@given(st.sampled_from([IPV4, IPV6, 0x88CC]), st.binary(max_size=120))
def test_whatever_a_guest_sends(kind: int, raw: bytes) -> None:
    packet = Packet.parse(kind, raw)
    if packet is not None:
        Discovery.parse(packet)
        packets.echo_answered(packet)
        packets.echo_reply(packet)
        packets.is_router_solicitation(packet)


def test_addresses_from_text() -> None:
    assert packets.address_of("192.0.2.10/24") == ip_address("192.0.2.10")
    assert packets.address_of("fe80::1%eth0") == ip_address("fe80::1")
    with pytest.raises(ValueError, match="nowhere"):
        packets.address_of("nowhere")
