# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The other end of one NIC's cable: a network that holds nothing but us.

QEMU sends and receives each frame as one datagram of a socket pair, so what the
guest sends reaches this object and nothing else. We are whatever router,
gateway or neighbour the guest asks for by ARP or neighbour discovery, a DHCP
server, and a router that announces the prefixes of the addresses that are
expected here. What else the guest says is heard and not answered.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Network

from . import dhcp, packets
from .capture import Capture
from .ethernet import ARP, ARP_REPLY, ARP_REQUEST, BROADCAST, Arp, Frame, mac_text
from .packets import Address, Discovery, Packet

_LARGEST_FRAME = 65536
# Frames that are taken in one turn, so that a flood can't keep us from the clock.
_TURN = 256
_BUFFER = 1 << 20
_MOST_REMEMBERED = 256


@dataclass(frozen=True)
class Sighting:
    """An address that the guest was seen to have: it announced it, answered for it, or used it."""

    address: Address
    wire: int
    vlan: int | None
    mac: bytes
    solicited: bool


@dataclass
class Heard:
    """What one turn brought."""

    sightings: list[Sighting] = field(default_factory=list)
    packets: list[tuple[Packet, Frame]] = field(default_factory=list)


class Wire:
    """One NIC's network.

    Attributes:
        index: Place of the NIC among the machine's.
        mac: Our own MAC address on it.
        vlans: The VLANs that the guest has used, None for frames without one.
        macs: The MAC addresses that frames came from.
        frames: How many frames the guest has sent.
        owned: Addresses that the guest has, wherever it has them.
        shown: Those that it has shown to have here.
    """

    def __init__(
        self,
        index: int,
        *,
        known: IPv4Interface | None,
        prefixes: list[IPv6Network],
        capture: Capture | None,
    ) -> None:
        """Args: the NIC's place; the IPv4 address that it is known to have had, for DHCP; the IPv6
        networks that a router announces; where frames are recorded."""
        self.index = index
        # Locally administered, as QEMU's own user network has them.
        self.mac = bytes([0x52, 0x55, 0x0A, 0x00, 0x02, index & 0xFF])
        self.vlans: set[int | None] = {None}
        self.macs: set[bytes] = set()
        self.frames = 0
        self.owned: set[Address] = set()
        self.shown: set[Address] = set()
        fallback = IPv4Interface(f"10.0.{2 + index % 250}.15/24")
        self._dhcp = dhcp.DhcpServer(known, fallback)
        self._prefixes = prefixes
        self._capture = capture
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ours.setblocking(False)
        for end in (self._ours, self._theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)

    @property
    def descriptor(self) -> int:
        """The socket that QEMU is to have."""
        return self._theirs.fileno()

    @property
    def lease(self) -> IPv4Interface | None:
        """The address that the guest got by DHCP."""
        return self._dhcp.lease

    @property
    def link_local(self) -> IPv6Address:
        """Our link-local address, from our MAC (RFC 4291, appendix A)."""
        host = bytes([self.mac[0] ^ 2]) + self.mac[1:3] + b"\xff\xfe" + self.mac[3:]
        return IPv6Address(b"\xfe\x80" + bytes(6) + host)

    def started(self) -> None:
        """QEMU has its end now."""
        self._theirs.close()

    def close(self) -> None:
        """Unplug."""
        self._ours.close()
        self._theirs.close()
        if self._capture is not None:
            self._capture.close()

    def send(self, frame: Frame) -> None:
        """Send a frame; one that does not fit into the queue is lost, as on any network."""
        raw = frame.packed()
        try:
            self._ours.send(raw)
        except OSError:
            return  # The queue is full, or QEMU has ended.
        if self._capture is not None:
            self._capture.add(raw)

    def send_packet(self, packet: Packet, mac: bytes, vlan: int | None) -> None:
        """Send an IP packet to a MAC address."""
        self.send(Frame(mac, self.mac, packet.kind, packet.packed(), vlan))

    def ask_for(self, address: Address, source: Address, vlan: int | None) -> None:
        """Ask who has an address, as a neighbour that has *source*."""
        if isinstance(address, IPv4Address) and isinstance(source, IPv4Address):
            question = Arp(ARP_REQUEST, self.mac, source, bytes(6), address)
            self.send(Frame(BROADCAST, self.mac, ARP, question.packed(), vlan))
        elif isinstance(address, IPv6Address) and isinstance(source, IPv6Address):
            solicitation = packets.solicitation(source, address, self.mac)
            to = packets.multicast_mac(packets.solicited_node(address))
            self.send_packet(solicitation, to, vlan)

    def receive(self) -> Heard:
        """Take what the guest has sent, and answer what is asked of the network."""
        heard = Heard()
        for _turn in range(_TURN):
            try:
                raw = self._ours.recv(_LARGEST_FRAME, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError:
                break  # QEMU has ended.
            if not raw:
                break
            if self._capture is not None:
                self._capture.add(raw)
            frame = Frame.parse(raw)
            if frame is not None and frame.source != self.mac:
                self._take(frame, heard)
        return heard

    def describe(self) -> dict[str, object]:
        """Return what was seen here, for the result."""
        return {
            "frames": self.frames,
            "addresses": sorted(str(address) for address in self.shown),
            "vlans": sorted(vlan for vlan in self.vlans if vlan is not None),
            "macs": sorted(mac_text(mac) for mac in self.macs),
            "lease": str(self.lease) if self.lease else None,
            "capture_path": str(self._capture.path) if self._capture else None,
        }

    def _take(self, frame: Frame, heard: Heard) -> None:
        self.frames += 1
        if len(self.macs) < _MOST_REMEMBERED:
            self.macs.add(frame.source)
        if len(self.vlans) < _MOST_REMEMBERED:
            self.vlans.add(frame.vlan)
        if frame.kind == ARP:
            arp = Arp.parse(frame.payload)
            if arp is not None:
                self._take_arp(arp, frame, heard)
            return
        packet = Packet.parse(frame.kind, frame.payload)
        if packet is None:
            return
        discovery = Discovery.parse(packet)
        if discovery is not None:
            self._take_discovery(discovery, packet, frame, heard)
        elif packets.is_router_solicitation(packet):
            self._advertise(frame.vlan)
        elif packet.protocol == packets.UDP and packet.destination.version == 4:
            self._serve_dhcp(packet, frame)
        else:
            reply = packets.echo_reply(packet)
            if reply is not None and not packet.destination.is_multicast:
                self.send_packet(reply, frame.source, frame.vlan)
            heard.packets.append((packet, frame))
            if not packet.source.is_unspecified:
                self._remember(self.shown, packet.source)

    def _take_arp(self, arp: Arp, frame: Frame, heard: Heard) -> None:
        if arp.sender != IPv4Address(0):
            self._saw(arp.sender, frame, heard, solicited=arp.operation == ARP_REPLY)
        # A probe for a duplicate (RFC 5227) has no sender, an announcement asks for itself.
        asked = arp.operation == ARP_REQUEST and arp.sender not in (IPv4Address(0), arp.target)
        if asked and arp.target not in self.owned:
            answer = Arp(ARP_REPLY, self.mac, arp.target, arp.sender_mac, arp.sender)
            self.send(Frame(frame.source, self.mac, ARP, answer.packed(), frame.vlan))

    def _take_discovery(
        self, discovery: Discovery, packet: Packet, frame: Frame, heard: Heard
    ) -> None:
        if discovery.kind == packets.NEIGHBOUR_ADVERTISEMENT:
            self._saw(discovery.target, frame, heard, solicited=True)
            return
        source = packet.source
        if not isinstance(source, IPv6Address) or source.is_unspecified:
            return  # It looks for a duplicate: an answer would be one.
        self._saw(source, frame, heard, solicited=False)
        if discovery.target not in self.owned:
            answer = packets.advertisement(discovery.target, source, self.mac)
            self.send_packet(answer, frame.source, frame.vlan)

    def _saw(self, address: Address, frame: Frame, heard: Heard, *, solicited: bool) -> None:
        self._remember(self.owned, address)
        # An answer for an IPv4 address says that the guest has it, not that it has it here.
        if not solicited or address.version == 6:
            self._remember(self.shown, address)
        heard.sightings.append(Sighting(address, self.index, frame.vlan, frame.source, solicited))

    @staticmethod
    def _remember(addresses: set[Address], address: Address) -> None:
        if len(addresses) < _MOST_REMEMBERED:
            addresses.add(address)

    def _advertise(self, vlan: int | None) -> None:
        if self._prefixes:
            packet = packets.router_advertisement(self.link_local, self.mac, self._prefixes)
            self.send_packet(packet, packets.multicast_mac(IPv6Address("ff02::1")), vlan)

    def _serve_dhcp(self, packet: Packet, frame: Frame) -> None:
        ports = (
            int.from_bytes(packet.payload[:2], "big"),
            int.from_bytes(packet.payload[2:4], "big"),
        )
        if ports[1] != dhcp.SERVER_PORT:
            return
        answer = self._dhcp.answer(packet.payload[8:])
        if answer is None:
            return
        server, message = answer
        datagram = packets.udp(
            server,
            IPv4Address("255.255.255.255"),
            (dhcp.SERVER_PORT, dhcp.CLIENT_PORT),
            message,
        )
        self.send_packet(datagram, BROADCAST, frame.vlan)
