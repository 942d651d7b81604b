# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask a guest for its address with Ethernet frames of our own, inside a VLAN or outside of any.

QEMU's user network knows no VLAN tags (IEEE 802.1Q), and not every guest lets a
service of the tests' listen. So a NIC can be connected to a datagram socket, one
frame a datagram, and asked by ARP (RFC 826): only the guest that has the
address, on that VLAN, replies.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import time
from pathlib import Path

_ETHERTYPE_ARP = 0x0806
_ETHERTYPE_VLAN = 0x8100
_REQUEST, _REPLY = 1, 2
_BROADCAST = b"\xff" * 6
# A locally administered address, and an address of the same network: the last but one.
_OUR_MAC = bytes.fromhex("0200 0000 00fe")
_FRAME_LIMIT = 65536


def request(address: str, vlan: int) -> bytes:
    """Return the frame that asks who has an address.

    Args:
        address: With its prefix, as "203.0.113.10/24".
        vlan: The VLAN's identifier; 0 leaves the frame untagged.
    """
    interface = ipaddress.IPv4Interface(address)
    ours = interface.network.broadcast_address - 1
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, _REQUEST)
    body += _OUR_MAC + ours.packed + bytes(6) + interface.ip.packed
    tag = struct.pack("!HH", _ETHERTYPE_VLAN, vlan) if vlan else b""
    header = _BROADCAST + _OUR_MAC + tag + struct.pack("!H", _ETHERTYPE_ARP)
    return (header + body).ljust(64, b"\0")


def replier(frame: bytes, address: str, vlan: int) -> str | None:
    """Return the MAC address that a frame announces for an address, None when it does not."""
    if len(frame) < 46:
        return None
    found, payload = 0, frame[12:]
    (kind,) = struct.unpack_from("!H", payload)
    if kind == _ETHERTYPE_VLAN:
        control, kind = struct.unpack_from("!HH", payload, 2)
        found, payload = control & 0xFFF, payload[4:]
    if (found, kind) != (vlan, _ETHERTYPE_ARP):
        return None
    (operation,) = struct.unpack_from("!H", payload, 8)
    sender, sender_address = payload[10:16], payload[16:20]
    wanted = ipaddress.IPv4Interface(address).ip.packed
    if operation != _REPLY or sender_address != wanted:
        return None
    return sender.hex(":")


def ask(ours: socket.socket, guest: Path, address: str, vlan: int, seconds: float) -> str:
    """Return the MAC address that replies for an address, asking once a second.

    Args:
        ours: Our datagram socket, bound where QEMU sends to.
        guest: QEMU's socket.
        address: With its prefix.
        vlan: The VLAN's identifier, 0 for none.
        seconds: For how long.

    Raises:
        TimeoutError: Nobody replied.
    """
    deadline = time.monotonic() + seconds
    question = request(address, vlan)
    ours.settimeout(1)
    asked = 0.0
    while time.monotonic() < deadline:
        try:
            if time.monotonic() - asked >= 1:
                asked = time.monotonic()
                ours.sendto(question, str(guest))
            mac = replier(ours.recv(_FRAME_LIMIT), address, vlan)
        except OSError:  # no frame in time, or no socket of QEMU's yet
            mac = None
            time.sleep(0.1)
        if mac:
            return mac
    where = f" in VLAN {vlan}" if vlan else ""
    raise TimeoutError(f"Nobody answered for {address}{where} in {seconds:.0f} s.")
