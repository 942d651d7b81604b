# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ethernet frames with at most one VLAN tag (IEEE 802.3, 802.1Q), and ARP (RFC 826)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

BROADCAST = b"\xff" * 6

ARP = 0x0806
IPV4 = 0x0800
IPV6 = 0x86DD

ARP_REQUEST = 1
ARP_REPLY = 2

_VLAN = 0x8100
_HEADER = struct.Struct("!6s6sH")
_SHORTEST = 60  # A frame without its checksum; shorter ones are padded.
# Hardware type Ethernet, protocol IPv4, the lengths of their addresses, then who asks whom.
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_ARP_KINDS = (1, IPV4, 6, 4)


@dataclass(frozen=True)
class Frame:
    """A frame; vlan is None where it is not tagged."""

    destination: bytes
    source: bytes
    kind: int
    payload: bytes
    vlan: int | None = None

    @classmethod
    def parse(cls, raw: bytes) -> Frame | None:
        """Return the frame, or None for what is none."""
        if len(raw) < _HEADER.size:
            return None
        destination, source, kind = _HEADER.unpack_from(raw)
        if kind != _VLAN:
            return cls(destination, source, kind, raw[_HEADER.size :])
        if len(raw) < _HEADER.size + 4:
            return None
        tag, kind = struct.unpack_from("!HH", raw, _HEADER.size)
        # Tag 0 carries a priority only.
        return cls(destination, source, kind, raw[_HEADER.size + 4 :], tag & 0xFFF or None)

    def packed(self) -> bytes:
        """Return its bytes, padded to the shortest frame that there is."""
        if self.vlan is None:
            head = _HEADER.pack(self.destination, self.source, self.kind)
        else:
            head = _HEADER.pack(self.destination, self.source, _VLAN)
            head += struct.pack("!HH", self.vlan, self.kind)
        return (head + self.payload).ljust(_SHORTEST, b"\0")


@dataclass(frozen=True)
class Arp:
    """An ARP packet."""

    operation: int
    sender_mac: bytes
    sender: IPv4Address
    target_mac: bytes
    target: IPv4Address

    @classmethod
    def parse(cls, payload: bytes) -> Arp | None:
        """Return the packet, or None for what is none of Ethernet and IPv4."""
        if len(payload) < _ARP.size:
            return None
        *kinds, operation, sender_mac, sender, target_mac, target = _ARP.unpack_from(payload)
        if tuple(kinds) != _ARP_KINDS:
            return None
        return cls(operation, sender_mac, IPv4Address(sender), target_mac, IPv4Address(target))

    def packed(self) -> bytes:
        """Return its bytes."""
        return _ARP.pack(
            *_ARP_KINDS,
            self.operation,
            self.sender_mac,
            self.sender.packed,
            self.target_mac,
            self.target.packed,
        )


def mac_text(mac: bytes) -> str:
    """Return a MAC address as people write it."""
    return mac.hex(":")


def mac_bytes(text: str) -> bytes:
    """Return the six bytes of a MAC address, whatever separates them."""
    return bytes.fromhex(text.replace(":", "").replace("-", ""))
