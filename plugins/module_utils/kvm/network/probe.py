# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One address that a guest is to answer at, from the first question to what was heard.

Where a port is asked for, the answer is a TCP connection (and what is to be read
there). Where none is, it is the reply to a ping, or, from a guest that lets no ping
in, to a neighbour's question who has the address.

Linux answers such a question for any address that it has, on whichever NIC it
was asked ("ARP flux"). So that two swapped NICs don't pass, the reply to a ping or a
connection must come out of the NIC that is asked for: the guest's routes
decide that, not the NIC that the question came in by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import packets
from .ethernet import Frame, mac_text
from .expectation import Expectation, neighbour_of
from .packets import Address, Packet
from .port import PortCheck
from .tcp import Segment
from .wire import Sighting, Wire

_ASK_EVERY = 1.0
# How long a ping may take before the neighbour's answer alone counts, in seconds.
_PING_GRACE = 5.0
# After which an address is looked for at the other NICs too, to say that it is there.
_ELSEWHERE_AFTER = 10.0
_FIRST_IDENTIFIER = 0x4800


class Probe:
    """Looks for one expected address.

    Attributes:
        expectation: What is expected.
        address: The address; for a DHCP guest None until it has its lease.
        answered: Whether it has answered.
        seconds: When it did, counted from the machine's start.
    """

    def __init__(self, number: int, expectation: Expectation, taken: Sequence[Address]) -> None:
        """Args: its place among the probes; what to look for; all of the guest's addresses."""
        self.expectation = expectation
        self.address = expectation.address
        self.answered = False
        self.seconds: float | None = None
        self._by: str | None = None
        self._taken = taken
        self._identifier = _FIRST_IDENTIFIER + number
        self._port = None if expectation.port is None else PortCheck(number, expectation)
        self._pings = 0
        self._began: float | None = None
        self._asked: float | None = None
        self._place: Sighting | None = None
        self._settled = False
        self._found_at = 0.0
        self._announced = False
        self._announced_elsewhere: int | None = None
        self._answered_elsewhere: int | None = None
        self._replied_elsewhere: int | None = None

    def saw(self, sighting: Sighting, wires: Sequence[Wire], now: float) -> None:
        """Note that the guest has announced an address, or answered for it."""
        wanted = self.expectation
        if self.answered or sighting.address != self.address:
            return
        if wanted.vlan is not None and sighting.vlan != wanted.vlan:
            return
        if not self._is_right(sighting.mac, sighting.wire, wires):
            if not sighting.solicited:
                self._announced_elsewhere = sighting.wire
            elif self._place is None:
                # Linux answers at any of its NICs for any of its addresses.
                self._answered_elsewhere = sighting.wire
            return
        if self._place is None:
            self._found_at = now
        # An announcement says where the address is, an answer only that it is somewhere. The
        # latest place is the best: a bond may have moved on to its other NIC.
        if not self._settled and not (sighting.solicited and self._announced):
            self._place = sighting
        self._announced = self._announced or not sighting.solicited

    def heard(
        self, packet: Packet, frame: Frame, wire: Wire, wires: Sequence[Wire], now: float
    ) -> None:
        """Note a packet of the guest's."""
        if self.answered or packet.source != self.address:
            return
        echo = packets.echo_answered(packet)
        segment = Segment.parse(packet)
        if echo is not None and echo[0] == self._identifier:
            if self._is_right(frame.source, wire.index, wires):
                self._settle(packet.source, frame, wire)
                self._found("ping", now)
            else:
                self._replied_elsewhere = wire.index
        elif segment is not None and self._port is not None and self._port.knows(segment):
            if self._is_right(frame.source, wire.index, wires):
                self._settle(packet.source, frame, wire)
                self._say(self._port.take(segment, now), wires)
                self._look_at_port(now)
            else:
                self._replied_elsewhere = wire.index

    def turn(self, wires: Sequence[Wire], now: float) -> None:
        """Ask what is to be asked at this time."""
        if self.answered:
            return
        if self.address is None:
            self.address = self._leased(wires)
        if self.address is None:
            return
        if self._asked is None or now - self._asked >= _ASK_EVERY:
            self._asked = now
            self._ask(self.address, wires, now)
        if self._place is None:
            return
        if self._port is not None:
            self._say(self._port.turn(now), wires)
            self._look_at_port(now)
        elif now - self._found_at >= _PING_GRACE and self._is_believed():
            self._found("arp" if self.address.version == 4 else "nd", now)

    def describe(self, nic_names: Sequence[str]) -> dict[str, Any]:
        """Return what was found, for the result; NICs by their names."""
        wanted, place = self.expectation, self._place
        nic = next(iter(wanted.nics), None) if place is None else place.wire
        read = b"" if self._port is None else self._port.read
        return {
            "address": None if self.address is None else str(self.address),
            "port": wanted.port,
            "nic": None if nic is None else nic_names[nic],
            "vlan": wanted.vlan if place is None else place.vlan,
            "mac": None if place is None else mac_text(place.mac),
            "answered": self.answered,
            "seconds": None if self.seconds is None else round(self.seconds, 2),
            "by": self._by,
            "read": read.decode("utf-8", errors="replace"),
            "reason": None if self.answered else self._reason(nic_names),
            "source": wanted.source,
            "required": wanted.required,
        }

    def _settle(self, address: Address, frame: Frame, wire: Wire) -> None:
        """Note where a reply came from: that is where the address is, whoever else claims it."""
        self._settled = True
        self._place = Sighting(address, wire.index, frame.vlan, frame.source, solicited=True)

    def _reason(self, nic_names: Sequence[str]) -> str:
        if self.address is None:
            return "the guest has not asked for an address by DHCP there"
        elsewhere = self._replied_elsewhere
        if elsewhere is None and not self._announced:
            elsewhere = self._announced_elsewhere
        if elsewhere is None and self._place is None:
            elsewhere = self._answered_elsewhere
        if elsewhere is not None and self.expectation.nics:
            wanted = " or ".join(nic_names[nic] for nic in self.expectation.nics)
            return f"the guest has this address at {nic_names[elsewhere]}, not at {wanted}"
        if self._place is None:
            return "nobody has this address"
        return "no reply" if self._port is None else self._port.reason

    def _is_believed(self) -> bool:
        """Whether the neighbour's answer alone shows that the address is where it is to be."""
        if self._replied_elsewhere is not None:
            return False
        return self._announced or self._announced_elsewhere is None

    def _is_right(self, mac: bytes, wire: int, wires: Sequence[Wire]) -> bool:
        """Whether something comes from the NIC that is asked for.

        The NICs of a bond send with one MAC address, so that counts as well.
        """
        nics = self.expectation.nics
        return not nics or wire in nics or any(mac in wires[nic].macs for nic in nics)

    def _leased(self, wires: Sequence[Wire]) -> Address | None:
        chosen = [wires[nic] for nic in self.expectation.nics] or wires
        return next((wire.lease.ip for wire in chosen if wire.lease is not None), None)

    def _ask(self, address: Address, wires: Sequence[Wire], now: float) -> None:
        """Ask who has the address, and ping it once that is known."""
        self._began = now if self._began is None else self._began
        nics, vlan = self.expectation.nics, self.expectation.vlan
        everywhere = self._place is None and now - self._began >= _ELSEWHERE_AFTER
        for wire in wires if not nics or everywhere else [wires[nic] for nic in nics]:
            for tag in tuple(wire.vlans) if vlan is None else (vlan,):
                wire.ask_for(address, self._asker(address), tag)
        if self._place is not None and self._port is None:
            self._pings = (self._pings + 1) & 0xFFFF
            ping = packets.echo_request(
                self._asker(address), address, self._identifier, self._pings
            )
            wires[self._place.wire].send_packet(ping, self._place.mac, self._place.vlan)

    def _say(self, segments: Sequence[Segment], wires: Sequence[Wire]) -> None:
        place = self._place
        address = self.address
        if place is None or address is None:
            return
        for segment in segments:
            packet = segment.packet(self._asker(address), address)
            wires[place.wire].send_packet(packet, place.mac, place.vlan)

    def _asker(self, address: Address) -> Address:
        wanted = self.expectation
        return neighbour_of(address, wanted.prefix, wanted.gateway, self._taken)

    def _look_at_port(self, now: float) -> None:
        if self._port is not None and self._port.done:
            self._found("tcp", now)

    def _found(self, by: str, now: float) -> None:
        self.answered = True
        self._by = by
        self.seconds = now
