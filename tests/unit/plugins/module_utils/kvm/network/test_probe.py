# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a neighbour's answer alone is believed: a guest may answer ARP and drop everything else."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.network.expectation import (
    Expectation,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.network.probe import Probe
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.network.wire import (
    Sighting,
    Wire,
)

OWN = IPv4Address("192.0.2.10")
MAC = bytes.fromhex("0050568a1001")
NAMES = ("nic-0", "nic-1")


@pytest.fixture
def wires() -> Iterator[list[Wire]]:
    made = [Wire(index, known=None, prefixes=[], capture=None) for index in range(2)]
    yield made
    for wire in made:
        wire.close()


@pytest.fixture
def probe() -> Probe:
    return Probe(0, Expectation(OWN, nics=(1,), prefix=24), [OWN])


def seen(wire: int, *, solicited: bool) -> Sighting:
    return Sighting(OWN, wire, None, MAC, solicited)


def test_an_answer_at_the_right_nic_is_believed_after_a_while(
    probe: Probe, wires: list[Wire]
) -> None:
    probe.saw(seen(1, solicited=True), wires, 1.0)
    probe.turn(wires, 2.0)
    assert not probe.answered
    probe.turn(wires, 30.0)
    assert probe.answered and probe.describe(NAMES)["by"] == "arp"


def test_linux_answers_at_its_other_nics_too(probe: Probe, wires: list[Wire]) -> None:
    """As it does while the right NIC is not up yet; that says nothing about where the address is."""
    probe.saw(seen(0, solicited=True), wires, 1.0)
    assert probe.describe(NAMES)["reason"] == ("the guest has this address at nic-0, not at nic-1")
    probe.saw(seen(1, solicited=True), wires, 2.0)
    probe.turn(wires, 30.0)
    assert probe.answered


def test_an_announcement_at_another_nic_counts(probe: Probe, wires: list[Wire]) -> None:
    probe.saw(seen(0, solicited=False), wires, 1.0)
    probe.saw(seen(1, solicited=True), wires, 2.0)
    probe.turn(wires, 30.0)
    assert not probe.answered
    assert "at nic-0, not at nic-1" in probe.describe(NAMES)["reason"]
