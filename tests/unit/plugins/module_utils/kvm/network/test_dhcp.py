# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv4Interface

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.network.dhcp import (
    DhcpServer,
    neighbour,
)

FALLBACK = IPv4Interface("10.0.2.15/24")


def question(kind: int, wished: str = "", client: str = "0.0.0.0") -> bytes:
    fixed = struct.pack(
        "!BBBBIHH4s12s16s192s",
        *(1, 1, 6, 0, 0xCAFE, 0, 0, IPv4Address(client).packed, bytes(12)),
        *(bytes.fromhex("0050568a1001"), bytes(192)),
    )
    options = bytes([53, 1, kind, 0, 55, 2, 1, 3])
    if wished:
        options += bytes([50, 4]) + IPv4Address(wished).packed
    return fixed + b"\x63\x82\x53\x63" + options + b"\xff"


def offered(answer: tuple[IPv4Address, bytes] | None) -> tuple[str, int, str]:
    """Return the address, the message type and the router of an answer."""
    assert answer is not None
    _server, message = answer
    assert message[:1] == b"\x02"
    assert message[4:8] == b"\0\0\xca\xfe"
    kind = message[message.index(b"\x35\x01") + 2]
    place = message.index(b"\x03\x04", 240) + 2
    return (
        str(IPv4Address(message[16:20])),
        kind,
        str(IPv4Address(message[place : place + 4])),
    )


def test_the_address_that_the_nic_had() -> None:
    server = DhcpServer(IPv4Interface("192.0.2.10/25"), FALLBACK)
    assert offered(server.answer(question(1, "198.51.100.1"))) == ("192.0.2.10", 2, "192.0.2.1")
    assert server.lease is None
    assert offered(server.answer(question(3, "192.0.2.10"))) == ("192.0.2.10", 5, "192.0.2.1")
    assert server.lease == IPv4Interface("192.0.2.10/25")


def test_the_address_that_the_guest_remembers() -> None:
    server = DhcpServer(None, FALLBACK)
    assert offered(server.answer(question(1, "198.51.100.7")))[:2] == ("198.51.100.7", 2)
    assert offered(server.answer(question(3, client="198.51.100.7")))[:2] == ("198.51.100.7", 5)


def test_the_same_address_again() -> None:
    server = DhcpServer(None, FALLBACK)
    server.answer(question(3, "198.51.100.7"))
    assert offered(server.answer(question(1)))[0] == "198.51.100.7"


def test_one_of_its_own() -> None:
    server = DhcpServer(None, FALLBACK)
    assert offered(server.answer(question(1))) == ("10.0.2.15", 2, "10.0.2.1")
    assert offered(server.answer(question(3, "224.0.0.5")))[0] == "10.0.2.15"


def test_what_is_not_asked() -> None:
    server = DhcpServer(None, FALLBACK)
    assert server.answer(question(7)) is None  # It gives the address back.
    assert server.answer(question(1)[:200]) is None
    assert server.answer(question(1).replace(b"\x63\x82", b"\0\0")) is None


def test_a_neighbour() -> None:
    assert str(neighbour(IPv4Interface("192.0.2.1/24"))) == "192.0.2.2"
    assert str(neighbour(IPv4Interface("192.0.2.6/31"))) == "192.0.2.7"


@given(st.binary(max_size=80))
def test_whatever_options_a_guest_sends(options: bytes) -> None:
    DhcpServer(None, FALLBACK).answer(question(1)[:240] + options)
