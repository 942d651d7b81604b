# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.network.ethernet import (
    ARP,
    ARP_REPLY,
    BROADCAST,
    Arp,
    Frame,
    mac_bytes,
    mac_text,
)

MAC = mac_bytes("00:50:56:8A:10:01")

# From a capture: 192.0.2.10 announces itself, in no VLAN and in VLAN 100.
ANNOUNCEMENT = bytes.fromhex(
    "ffffffffffff0050568a10010806 0001080006040001 0050568a1001c000020a ffffffffffffc000020a"
)
TAGGED = bytes.fromhex(
    "ffffffffffff0050568a1001 8100a064 0806 0001080006040001"
    "0050568a1001c000020a ffffffffffffc000020a"
)


def test_a_frame_and_the_arp_in_it() -> None:
    frame = Frame.parse(ANNOUNCEMENT.ljust(60, b"\0"))
    assert frame is not None
    assert (frame.destination, frame.source, frame.kind, frame.vlan) == (BROADCAST, MAC, ARP, None)
    arp = Arp.parse(frame.payload)
    assert arp is not None
    assert arp.sender == arp.target == IPv4Address("192.0.2.10")
    assert frame.packed() == ANNOUNCEMENT.ljust(60, b"\0")


def test_a_vlan_s_tag_without_its_priority() -> None:
    frame = Frame.parse(TAGGED)
    assert frame is not None
    assert (frame.kind, frame.vlan) == (ARP, 100)
    assert Frame.parse(frame.packed()) == Frame.parse(TAGGED.ljust(60, b"\0"))


def test_a_tag_of_no_vlan() -> None:
    frame = Frame.parse(TAGGED.replace(b"\xa0\x64", b"\xa0\x00"))
    assert frame is not None
    assert frame.vlan is None


@pytest.mark.parametrize("length", range(18))
def test_what_is_cut(length: int) -> None:
    frame = Frame.parse(TAGGED[:length])
    assert frame is None or Arp.parse(frame.payload) is None


def test_arp_of_something_else_than_ethernet_and_ipv4() -> None:
    payload = ANNOUNCEMENT[14:]
    assert Arp.parse(payload) is not None
    for place in (1, 2, 4, 5):
        changed = bytearray(payload)
        changed[place] ^= 0x20
        assert Arp.parse(bytes(changed)) is None


def test_an_answer() -> None:
    answer = Arp(ARP_REPLY, MAC, IPv4Address("192.0.2.10"), BROADCAST, IPv4Address("192.0.2.1"))
    assert Arp.parse(answer.packed()) == answer
    assert mac_text(MAC) == "00:50:56:8a:10:01"
