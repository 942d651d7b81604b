# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""IPv4 and IPv6 packets (RFC 791, 8200), and what is in them: UDP, ICMP echo, neighbour discovery.

Only what a boot check says and hears: no fragments, and of IPv6's extension
headers the one that multicast listener reports have.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Union

from .ethernet import IPV4, IPV6

Address = Union[IPv4Address, IPv6Address]

ICMP = 1
TCP = 6
UDP = 17
ICMP6 = 58

ROUTER_SOLICITATION = 133
ROUTER_ADVERTISEMENT = 134
NEIGHBOUR_SOLICITATION = 135
NEIGHBOUR_ADVERTISEMENT = 136

_ECHO = {ICMP: (8, 0), ICMP6: (128, 129)}  # request, reply
_HOP_BY_HOP = 0
_IPV4_HEADER = struct.Struct("!BBHHHBBH4s4s")
_IPV6_HEADER = struct.Struct("!IHBB16s16s")
_DO_NOT_FRAGMENT = 0x4000
_FRAGMENT_BITS = 0x3FFF
# Neighbour discovery is believed only with this hop limit: no router lets it pass (RFC 4861).
_HOP_LIMIT = 255
_SOURCE_LINK_LAYER = 1
_TARGET_LINK_LAYER = 2
_PREFIX_INFORMATION = 3


@dataclass(frozen=True)
class Packet:
    """A packet of either version, its protocol by IANA's number."""

    source: Address
    destination: Address
    protocol: int
    payload: bytes

    @property
    def kind(self) -> int:
        """The Ethernet type that it travels under."""
        return IPV4 if self.source.version == 4 else IPV6

    @classmethod
    def parse(cls, kind: int, raw: bytes) -> Packet | None:
        """Return the packet, or None for a fragment and what is none."""
        return _parse4(raw) if kind == IPV4 else _parse6(raw) if kind == IPV6 else None

    def packed(self) -> bytes:
        """Return its bytes."""
        if self.source.version == 6:
            length = len(self.payload)
            return (
                _IPV6_HEADER.pack(
                    *(6 << 28, length, self.protocol, _HOP_LIMIT),
                    *(self.source.packed, self.destination.packed),
                )
                + self.payload
            )
        length = _IPV4_HEADER.size + len(self.payload)
        fields = [0x45, 0, length, 0, _DO_NOT_FRAGMENT, 64, self.protocol, 0]
        addresses = (self.source.packed, self.destination.packed)
        fields[-1] = checksum(_IPV4_HEADER.pack(*fields, *addresses))
        return _IPV4_HEADER.pack(*fields, *addresses) + self.payload


def _parse4(raw: bytes) -> Packet | None:
    if len(raw) < _IPV4_HEADER.size:
        return None
    first, _tos, length, _id, fragment, _ttl, protocol, _sum, source, destination = (
        _IPV4_HEADER.unpack_from(raw)
    )
    header = (first & 0xF) * 4
    if first >> 4 != 4 or fragment & _FRAGMENT_BITS or not _IPV4_HEADER.size <= header <= length:
        return None
    return Packet(
        IPv4Address(source), IPv4Address(destination), protocol, raw[header : min(length, len(raw))]
    )


def _parse6(raw: bytes) -> Packet | None:
    if len(raw) < _IPV6_HEADER.size:
        return None
    first, length, protocol, _hops, source, destination = _IPV6_HEADER.unpack_from(raw)
    payload = raw[_IPV6_HEADER.size : _IPV6_HEADER.size + length]
    if first >> 28 != 6:
        return None
    if protocol == _HOP_BY_HOP and len(payload) >= 8:
        protocol, size = payload[0], (payload[1] + 1) * 8
        payload = payload[size:]
    return Packet(IPv6Address(source), IPv6Address(destination), protocol, payload)


def checksum(data: bytes) -> int:
    """Return the Internet's checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def transport_checksum(source: Address, destination: Address, protocol: int, data: bytes) -> int:
    """Return the checksum of TCP, UDP and ICMPv6, over the pseudo header too (RFC 9293, 8200)."""
    if source.version == 4:
        pseudo = struct.pack("!4s4sBBH", source.packed, destination.packed, 0, protocol, len(data))
    else:
        pseudo = struct.pack("!16s16sII", source.packed, destination.packed, len(data), protocol)
    return checksum(pseudo + data)


def udp(source: Address, destination: Address, ports: tuple[int, int], data: bytes) -> Packet:
    """Return a datagram; *ports* are those of the source and the destination."""
    length = 8 + len(data)
    bare = struct.pack("!HHHH", *ports, length, 0) + data
    # A sum of zero would mean that there is none.
    total = transport_checksum(source, destination, UDP, bare) or 0xFFFF
    payload = struct.pack("!HHHH", *ports, length, total) + data
    return Packet(source, destination, UDP, payload)


def echo_request(source: Address, destination: Address, identifier: int, number: int) -> Packet:
    """Return a ping."""
    return _echo(source, destination, identifier, number, 0, b"hypersdk.hyper2kvm")


def _echo(
    source: Address, destination: Address, identifier: int, number: int, which: int, data: bytes
) -> Packet:
    protocol = ICMP if source.version == 4 else ICMP6
    body = struct.pack("!HH", identifier, number) + data
    return _icmp(source, destination, protocol, _ECHO[protocol][which], 0, body)


def echo_answered(packet: Packet) -> tuple[int, int] | None:
    """Return the identifier and number of the ping that a packet answers, None for others."""
    kinds = _ECHO.get(packet.protocol)
    if kinds is None or len(packet.payload) < 8 or packet.payload[0] != kinds[1]:
        return None
    identifier, number = struct.unpack_from("!HH", packet.payload, 4)
    return identifier, number


def echo_reply(packet: Packet) -> Packet | None:
    """Return the answer to a ping, None when the packet is no ping."""
    kinds = _ECHO.get(packet.protocol)
    if kinds is None or len(packet.payload) < 8 or packet.payload[0] != kinds[0]:
        return None
    identifier, number = struct.unpack_from("!HH", packet.payload, 4)
    return _echo(packet.destination, packet.source, identifier, number, 1, packet.payload[8:])


def _icmp(
    source: Address, destination: Address, protocol: int, kind: int, code: int, body: bytes
) -> Packet:
    bare = struct.pack("!BBH", kind, code, 0) + body
    # ICMP of IPv4 is the one without a pseudo header.
    sums = {ICMP: checksum(bare), ICMP6: transport_checksum(source, destination, ICMP6, bare)}
    total = sums[protocol]
    return Packet(source, destination, protocol, struct.pack("!BBH", kind, code, total) + body)


@dataclass(frozen=True)
class Discovery:
    """A neighbour solicitation or advertisement: its kind, and the address that it is about."""

    kind: int
    target: IPv6Address

    @classmethod
    def parse(cls, packet: Packet) -> Discovery | None:
        """Return it, or None when the packet is neither."""
        if packet.protocol != ICMP6 or len(packet.payload) < 24:
            return None
        kind = packet.payload[0]
        if kind not in (NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT):
            return None
        return cls(kind, IPv6Address(packet.payload[8:24]))


def solicitation(source: IPv6Address, target: IPv6Address, mac: bytes) -> Packet:
    """Return the question who has *target*, asked by *source* at *mac*."""
    body = bytes(4) + target.packed + bytes([_SOURCE_LINK_LAYER, 1]) + mac
    return _icmp(source, solicited_node(target), ICMP6, NEIGHBOUR_SOLICITATION, 0, body)


def advertisement(target: IPv6Address, to: IPv6Address, mac: bytes) -> Packet:
    """Return the answer that *mac* has *target*: a router's, asked for, that overrides."""
    body = b"\xe0\0\0\0" + target.packed + bytes([_TARGET_LINK_LAYER, 1]) + mac
    return _icmp(target, to, ICMP6, NEIGHBOUR_ADVERTISEMENT, 0, body)


def is_router_solicitation(packet: Packet) -> bool:
    """Return whether the guest asks for routers."""
    return packet.protocol == ICMP6 and packet.payload[:1] == bytes([ROUTER_SOLICITATION])


def router_advertisement(source: IPv6Address, mac: bytes, prefixes: list[IPv6Network]) -> Packet:
    """Return what makes a guest that configures itself take its addresses in *prefixes*."""
    lifetime = 1800
    body = struct.pack("!BBHII", 64, 0, lifetime, 0, 0) + bytes([_SOURCE_LINK_LAYER, 1]) + mac
    for prefix in prefixes:
        on_link_and_autonomous = 0xC0
        body += struct.pack(
            "!BBBBIII16s",
            *(_PREFIX_INFORMATION, 4, prefix.prefixlen, on_link_and_autonomous),
            *(2 * lifetime, lifetime, 0, prefix.network_address.packed),
        )
    return _icmp(source, IPv6Address("ff02::1"), ICMP6, ROUTER_ADVERTISEMENT, 0, body)


def solicited_node(target: IPv6Address) -> IPv6Address:
    """Return the multicast address that whoever has *target* listens on (RFC 4291)."""
    return IPv6Address(IPv6Address("ff02::1:ff00:0").packed[:13] + target.packed[13:])


def multicast_mac(address: IPv6Address) -> bytes:
    """Return the MAC address of a multicast address (RFC 2464)."""
    return b"\x33\x33" + address.packed[12:]


def address_of(text: str) -> Address:
    """Return an address from text; a prefix length or a zone behind it is dropped.

    Raises:
        ValueError: It is none.
    """
    return ip_address(text.split("/")[0].split("%")[0])
