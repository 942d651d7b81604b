# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the network says to frames that real guests send rarely, or that must not be answered."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.network import packets
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.network.ethernet import (
    ARP,
    ARP_REPLY,
    ARP_REQUEST,
    BROADCAST,
    Arp,
    Frame,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.network.packets import Packet
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.network.wire import Wire

GUEST = bytes.fromhex("0050568a1001")
OWN = IPv4Address("192.0.2.10")
GATEWAY = IPv4Address("192.0.2.1")
OWN6 = IPv6Address("2001:db8::10")
NOBODY = IPv4Address(0)


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire(3, known=None, prefixes=[IPv6Network("2001:db8::/64")], capture=None)
    yield made
    made.close()


@pytest.fixture
def guest(wire: Wire) -> Iterator[socket.socket]:
    with socket.socket(fileno=os.dup(wire.descriptor)) as end:
        end.setblocking(False)
        yield end


def said(guest: socket.socket) -> list[Frame]:
    frames = []
    while True:
        try:
            frame = Frame.parse(guest.recv(65536))
        except BlockingIOError:
            return frames
        assert frame is not None
        frames.append(frame)


def arp(sender: IPv4Address, target: IPv4Address, vlan: int | None = None) -> bytes:
    question = Arp(ARP_REQUEST, GUEST, sender, bytes(6), target)
    return Frame(BROADCAST, GUEST, ARP, question.packed(), vlan).packed()


def test_any_gateway_answers_in_its_vlan(wire: Wire, guest: socket.socket) -> None:
    guest.send(arp(OWN, GATEWAY, vlan=100))
    heard = wire.receive()
    assert [(s.address, s.vlan, s.solicited) for s in heard.sightings] == [(OWN, 100, False)]
    [frame] = said(guest)
    assert (frame.destination, frame.vlan) == (GUEST, 100)
    answer = Arp.parse(frame.payload)
    assert answer is not None
    assert (answer.operation, answer.sender, answer.sender_mac) == (ARP_REPLY, GATEWAY, wire.mac)
    assert wire.describe()["vlans"] == [100]


def test_a_guest_that_looks_for_a_duplicate_finds_none(wire: Wire, guest: socket.socket) -> None:
    guest.send(arp(NOBODY, OWN))
    guest.send(arp(OWN, OWN))
    probe = packets.solicitation(IPv6Address("::"), OWN6, GUEST)
    guest.send(Frame(b"\x33" * 6, GUEST, probe.kind, probe.packed()).packed())
    heard = wire.receive()
    assert said(guest) == []
    # The announcement is one; the probes are not.
    assert [sighting.address for sighting in heard.sightings] == [OWN]


def test_the_guest_s_own_address_is_nobody_else_s(wire: Wire, guest: socket.socket) -> None:
    guest.send(arp(OWN, GATEWAY))
    guest.send(arp(IPv4Address("192.0.2.11"), OWN))
    wire.receive()
    assert len(said(guest)) == 1


def test_an_answer_shows_where_an_ipv6_address_is_and_no_ipv4_address(
    wire: Wire, guest: socket.socket
) -> None:
    reply = Arp(ARP_REPLY, GUEST, OWN, wire.mac, GATEWAY)
    guest.send(Frame(wire.mac, GUEST, ARP, reply.packed()).packed())
    neighbour = packets.advertisement(OWN6, wire.link_local, GUEST)
    guest.send(Frame(wire.mac, GUEST, neighbour.kind, neighbour.packed()).packed())
    assert [sighting.solicited for sighting in wire.receive().sightings] == [True, True]
    assert wire.describe()["addresses"] == [str(OWN6)]


def test_routers_are_there_for_who_asks(wire: Wire, guest: socket.socket) -> None:
    own = IPv6Address("fe80::250:56ff:fe8a:1001")
    asked = Packet(own, IPv6Address("ff02::2"), packets.ICMP6, bytes([133]) + bytes(7))
    guest.send(Frame(b"\x33" * 6, GUEST, asked.kind, asked.packed()).packed())
    wire.receive()
    [frame] = said(guest)
    told = Packet.parse(frame.kind, frame.payload)
    assert told is not None
    assert told.source == wire.link_local
    assert IPv6Address("2001:db8::").packed in told.payload


def test_a_gateway_that_is_pinged_answers(wire: Wire, guest: socket.socket) -> None:
    ping = packets.echo_request(OWN, GATEWAY, 1, 1)
    guest.send(Frame(wire.mac, GUEST, ping.kind, ping.packed()).packed())
    wire.receive()
    [frame] = said(guest)
    reply = Packet.parse(frame.kind, frame.payload)
    assert reply is not None
    assert packets.echo_answered(reply) == (1, 1)


def test_what_we_send_does_not_come_back(wire: Wire, guest: socket.socket) -> None:
    guest.send(replace(Frame(BROADCAST, wire.mac, ARP, b""), payload=bytes(28)).packed())
    assert wire.receive().sightings == []
    assert wire.frames == 0


def test_a_flood_and_a_qemu_that_is_gone(wire: Wire, guest: socket.socket) -> None:
    for _turn in range(2000):
        wire.ask_for(OWN, GATEWAY, None)
    wire.started()
    guest.close()
    wire.ask_for(OWN, GATEWAY, None)
    assert wire.receive().sightings == []
