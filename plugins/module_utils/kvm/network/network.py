# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""All the networks of one machine, and what is looked for on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any

from .capture import Capture
from .expectation import Expectation
from .probe import Probe
from .wire import Wire

CAPTURE_LIMIT = 4 * 1024 * 1024
# Seconds for what need not answer.
_COURTESY = 10.0


@dataclass(frozen=True)
class NicNetwork:
    """One NIC: its name in the manifest, and its MAC address, "" where it has none."""

    name: str
    mac: str


class Network:
    """Runs the machine's networks; turn() has to be called often."""

    def __init__(
        self, nics: Sequence[NicNetwork], expectations: Sequence[Expectation], evidence: Path
    ) -> None:
        """Args: the machine's NICs; where it is to answer; the directory for the captures."""
        self._nics = nics
        self._names = [nic.name for nic in nics]
        taken = [wanted.address for wanted in expectations if wanted.address is not None]
        self.probes = [Probe(number, wanted, taken) for number, wanted in enumerate(expectations)]
        self.wires = [
            Wire(
                index,
                known=_known(expectations, index),
                prefixes=_prefixes(expectations, index),
                capture=Capture(evidence / f"nic-{index}.pcap", CAPTURE_LIMIT),
            )
            for index in range(len(nics))
        ]

    @property
    def descriptors(self) -> list[int]:
        """The sockets for QEMU, one a NIC."""
        return [wire.descriptor for wire in self.wires]

    def started(self) -> None:
        """QEMU has its sockets now."""
        for wire in self.wires:
            wire.started()

    def close(self) -> None:
        """Unplug everything."""
        for wire in self.wires:
            wire.close()

    def turn(self, now: float) -> None:
        """Take and answer what came, and ask what is due; *now* counts from the machine's start."""
        for wire in self.wires:
            heard = wire.receive()
            for sighting in heard.sightings:
                for probe in self.probes:
                    probe.saw(sighting, self.wires, now)
            for packet, frame in heard.packets:
                for probe in self.probes:
                    probe.heard(packet, frame, wire, self.wires, now)
        for probe in self.probes:
            probe.turn(self.wires, now)

    def missing(self) -> list[dict[str, Any]]:
        """Return what was found of those that have to answer and have not."""
        return [
            probe.describe(self._names)
            for probe in self.probes
            if probe.expectation.required and not probe.answered
        ]

    def is_over(self, waited: float, timeout: float) -> bool:
        """Whether nothing more is to be waited for.

        Args:
            waited: Seconds since the machine was up.
            timeout: How long to wait for an expectation that has no time-out of its own.
        """
        return all(probe.answered or waited >= _patience(probe, timeout) for probe in self.probes)

    def answers(self) -> list[dict[str, Any]]:
        """Return what was found of each expectation."""
        return [probe.describe(self._names) for probe in self.probes]

    def nics(self) -> list[dict[str, Any]]:
        """Return what was seen at each NIC."""
        return [
            {"id": nic.name, "mac": nic.mac, **wire.describe()}
            for nic, wire in zip(self._nics, self.wires)
        ]


@contextmanager
def attached(
    nics: Sequence[NicNetwork], expectations: Sequence[Expectation], evidence: Path
) -> Iterator[Network]:
    """Run the networks of a machine until the with block ends."""
    network = Network(nics, expectations, evidence)
    try:
        yield network
    finally:
        network.close()


def _patience(probe: Probe, timeout: float) -> float:
    own = probe.expectation.timeout
    patience = timeout if own is None else own
    return patience if probe.expectation.required else min(patience, _COURTESY)


def _known(expectations: Sequence[Expectation], nic: int) -> IPv4Interface | None:
    """Return the address that a NIC is to get if it asks by DHCP: the one that it had."""
    for wanted in expectations:
        if nic in wanted.nics and isinstance(wanted.address, IPv4Address) and wanted.vlan is None:
            return IPv4Interface((wanted.address, wanted.prefix or 24))
    return None


def _prefixes(expectations: Sequence[Expectation], nic: int) -> list[IPv6Network]:
    """Return the networks in which a guest that configures itself has had an address."""
    found = {
        IPv6Network((wanted.address, 64), strict=False)
        for wanted in expectations
        # What is known to be configured in the guest needs no router.
        if isinstance(wanted.address, IPv6Address) and nic in wanted.nics
        if wanted.source == "manifest"
    }
    return sorted(found)
