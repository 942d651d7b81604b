# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.errors import (
    DomainError,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.identity import (
    derived_mac,
    new_macs,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.networks import (
    Attachment,
    bound_names,
    mapped_nics,
)

NICS = {
    "nics": [
        {"id": "nic-0", "mac": "00:50:56:8A:01:02", "network": "VM Network"},
        {"id": "nic-1", "network": "DMZ"},
    ]
}


def nics(network_map: dict[str, Any], policy: str = "keep", **converted: Any) -> Any:
    return mapped_nics(NICS, network_map, mac_policy=policy, uuid="u", converted=converted)


def test_each_network_has_its_counterpart() -> None:
    first, second = nics({"VM Network": "lan", "DMZ": {"bridge": "br0", "link": "down"}})
    assert first.attachment == Attachment("network", "lan", "up")
    assert second.attachment == Attachment("bridge", "br0", "down")
    assert (first.mac, first.source_mac) == ("00:50:56:8a:01:02", "00:50:56:8a:01:02")


def test_an_entry_for_the_rest() -> None:
    first, second = nics({"DMZ": {"user": True}, "*": "lan"})
    assert (first.attachment.name, second.attachment.kind) == ("lan", "user")


def test_networks_without_a_counterpart_are_named() -> None:
    with pytest.raises(DomainError, match="'DMZ', 'VM Network'") as caught:
        nics({})
    assert caught.value.details["unmapped_networks"] == ["DMZ", "VM Network"]


def test_a_nic_without_a_mac_gets_a_lasting_one() -> None:
    second = nics({"*": "lan"})[1]
    assert second.mac == derived_mac("u", "nic-1")
    assert second.mac.startswith("52:54:00:")


def test_new_addresses_differ_by_nic_and_stay() -> None:
    first, second = nics({"*": "lan"}, "new")
    assert first.mac != second.mac
    assert first.mac == nics({"*": "other"}, "new")[0].mac
    assert first.source_mac == "00:50:56:8a:01:02"


@pytest.mark.parametrize(
    "value",
    [None, 7, {}, {"network": "a", "bridge": "b"}, {"link": "up"}, {"network": "a", "vlan": 3}],
)
def test_an_entry_that_makes_no_sense(value: Any) -> None:
    with pytest.raises(DomainError, match="VM Network"):
        nics({"VM Network": value, "*": "lan"})


def test_a_link_is_up_or_down() -> None:
    with pytest.raises(DomainError, match="neither up nor down"):
        nics({"*": {"network": "lan", "link": "sideways"}})


def test_a_mac_that_is_none() -> None:
    with pytest.raises(DomainError, match="no MAC address"):
        mapped_nics(
            {"nics": [{"mac": "x,model.type=e1000", "network": "a"}]},
            {"*": "lan"},
            mac_policy="keep",
            uuid="u",
            converted={},
        )


@pytest.mark.parametrize(
    ("order", "found"),
    [
        (["nic-1", "nic-0"], ["nic-1", "nic-0"]),
        ([], ["nic-0", "nic-1"]),
        (["nic-1"], ["nic-1", "nic-0"]),
        (["nic-9", "nic-1", "nic-0"], ["nic-1", "nic-0"]),
        (None, ["nic-0", "nic-1"]),
    ],
)
def test_nics_come_in_the_order_that_the_guest_needs(order: Any, found: list[str]) -> None:
    assert [nic.id for nic in nics({"VM Network": "lan", "DMZ": "dmz"}, order=order)] == found
    turned = nics({"VM Network": "lan", "DMZ": "dmz"}, order=["nic-1"])[0]
    assert (turned.source_network, turned.attachment.name) == ("DMZ", "dmz")


def test_new_addresses_are_those_that_the_guest_was_bound_to() -> None:
    bound = {"nic-0": "52:54:00:aa:00:01", "nic-1": "52:54:00:aa:00:02"}
    assert [nic.mac for nic in nics({"*": "lan"}, "new", macs=bound)] == list(bound.values())
    with pytest.raises(DomainError, match="to keep the old ones"):
        nics({"*": "lan"}, macs=bound)
    assert {nic.id: nic.mac for nic in nics({"*": "lan"}, "new")} == new_macs(NICS, "u")


def test_a_guest_that_is_bound_to_its_old_addresses_is_known() -> None:
    names = [{"name": "ens192", "nic": "nic-0"}]
    assert bound_names({"names": names, "macs": {}}) == ["ens192"]
    assert bound_names({"names": names, "macs": {"nic-0": "52:54:00:aa:00:01"}}) == []
    assert bound_names({}) == []
