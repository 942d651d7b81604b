# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A DHCP server for one client (RFC 2131, 2132): the guest's NIC.

It gives the address that the NIC had under vSphere, where that is known, else
the one that the guest remembers and asks for, else one of its own.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

SERVER_PORT = 67
CLIENT_PORT = 68

_DISCOVER, _OFFER, _REQUEST, _ACK, _INFORM = 1, 2, 3, 5, 8
_ANSWERS = {_DISCOVER: _OFFER, _REQUEST: _ACK, _INFORM: _ACK}

# op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file.
_FIXED = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s")
_COOKIE = b"\x63\x82\x53\x63"
_LEASE_SECONDS = 86400

_MASK, _ROUTER, _REQUESTED, _LEASE, _TYPE, _SERVER, _END = 1, 3, 50, 51, 53, 54, 255


@dataclass(frozen=True)
class Request:
    """What a client asks: its message type, transaction, MAC and the address it would like."""

    kind: int
    transaction: int
    hardware: bytes
    address: IPv4Address | None

    @classmethod
    def parse(cls, data: bytes) -> Request | None:
        """Return the request, or None for what is none."""
        if len(data) < _FIXED.size + 4 or data[_FIXED.size : _FIXED.size + 4] != _COOKIE:
            return None
        fields = _FIXED.unpack_from(data)
        if fields[0] != 1:
            return None
        options = _options(data[_FIXED.size + 4 :])
        kind = options.get(_TYPE, b"")
        if len(kind) != 1:
            return None
        wished = options.get(_REQUESTED, b"")
        address = IPv4Address(wished if len(wished) == 4 else fields[7])
        known = None if address == IPv4Address(0) else address
        return cls(kind[0], fields[4], fields[11], known)


class DhcpServer:
    """The server of one NIC.

    Attributes:
        lease: The address that the guest took, None before it has.
    """

    def __init__(self, known: IPv4Interface | None, fallback: IPv4Interface) -> None:
        """Args: the address that the NIC is known to have had, and one for a NIC without."""
        self.lease: IPv4Interface | None = None
        self._known = known
        self._fallback = fallback

    def answer(self, data: bytes) -> tuple[IPv4Address, bytes] | None:
        """Return the server's address and its message, None where nothing is to be said."""
        request = Request.parse(data)
        if request is None or request.kind not in _ANSWERS:
            return None
        offered = self._choice(request)
        server = neighbour(offered)
        if request.kind == _REQUEST:
            self.lease = offered
        given = IPv4Address(0) if request.kind == _INFORM else offered.ip
        message = _FIXED.pack(
            *(2, 1, 6, 0, request.transaction, 0, 0),
            *(bytes(4), given.packed, server.packed, bytes(4)),
            *(request.hardware, b"", b""),
        )
        options = {
            _TYPE: bytes([_ANSWERS[request.kind]]),
            _SERVER: server.packed,
            _LEASE: struct.pack("!I", _LEASE_SECONDS),
            _MASK: offered.netmask.packed,
            _ROUTER: server.packed,
        }
        message += _COOKIE
        for code, value in options.items():
            message += bytes([code, len(value)]) + value
        return server, (message + bytes([_END])).ljust(300, b"\0")

    def _choice(self, request: Request) -> IPv4Interface:
        if self._known is not None:
            return self._known
        if self.lease is not None:
            return self.lease
        wished = request.address
        if wished is not None and not (wished.is_multicast or wished.is_loopback):
            return IPv4Interface((wished, 24))
        return self._fallback


def neighbour(interface: IPv4Interface) -> IPv4Address:
    """Return another address of the same network, its first or second."""
    first = interface.network.network_address
    if interface.network.prefixlen < 31:
        first += 1
    return first if first != interface.ip else first + 1


def _options(data: bytes) -> dict[int, bytes]:
    options: dict[int, bytes] = {}
    position = 0
    while position < len(data) and data[position] != _END:
        code = data[position]
        if code == 0:
            position += 1
            continue
        if position + 1 >= len(data):
            break
        length = data[position + 1]
        options[code] = data[position + 2 : position + 2 + length]
        position += 2 + length
    return options
