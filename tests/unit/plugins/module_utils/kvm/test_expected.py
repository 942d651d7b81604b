# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.errors import BootCheckError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.expected import expectations
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.machine import described_nics

MACS = ("00:50:56:8a:10:01", "00:50:56:8a:10:02")


def document(*nics: dict[str, Any]) -> dict[str, Any]:
    return {
        "nics": [
            {"id": f"nic-{index}", "mac": mac, **nic}
            for index, (mac, nic) in enumerate(zip(MACS, nics))
        ]
    }


TWO = document({}, {})
NICS = described_nics(TWO, {})


def test_the_user_s_word() -> None:
    given = [
        {"address": "192.0.2.10/24", "gateway": "192.0.2.1", "mac": MACS[1].upper()},
        {"address": "2001:db8::10", "nic": "nic-0", "port": 22, "pattern": "SSH"},
        {"nic": "1", "port": 80, "send": "GET /"},
    ]
    first, second, third = expectations(given, TWO, None, NICS)
    assert (first.address, first.prefix, first.nics) == (ip_address("192.0.2.10"), 24, (1,))
    assert (first.gateway, first.source) == (ip_address("192.0.2.1"), "option")
    assert (second.address, second.nics, second.port) == (ip_address("2001:db8::10"), (0,), 22)
    assert (third.address, third.nics, third.send) == (None, (1,), b"GET /")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"address": "192.0.2.300"}, "192.0.2.300"),
        ({"address": "192.0.2.1/33"}, "prefix"),
        ({"address": "192.0.2.1", "port": 0}, "no port"),
        ({"address": "192.0.2.1", "port": 65536}, "no port"),
        ({"address": "192.0.2.1", "vlan": 4095}, "VLAN"),
        ({"address": "192.0.2.1", "pattern": "SSH"}, "names no port"),
        ({"address": "192.0.2.1", "port": 1, "pattern": "("}, "no regular expression"),
        ({"address": "192.0.2.1", "nic": "nic-7"}, "nic-7"),
        ({"address": "192.0.2.1", "mac": "00:50:56:00:00:00"}, "00:50:56:00:00:00"),
    ],
)
def test_what_can_t_be(entry: dict[str, Any], words: str) -> None:
    with pytest.raises(BootCheckError, match=words) as raised:
        expectations([entry], TWO, None, NICS)
    assert "expect[0]" in str(raised.value)


def test_nothing_is_expected_where_nothing_is_known() -> None:
    assert expectations(None, {}, None, ()) == ()
    assert expectations([], document({"addresses": ["192.0.2.10"]}, {}), None, NICS) == ()


def test_the_conversion_s_word_and_the_manifest_s_for_the_rest(tmp_path: Path) -> None:
    static = {
        "nic": "nic-0",
        "mac": MACS[0],
        "address": "192.0.2.10",
        "prefix": 25,
        "gateway": "",
        "interface": "ens192",
        "nics": ["nic-0"],
        "tag": 0,
    }
    record = {"result": {"guest": {"network": {"expected": [static]}}}}
    (tmp_path / "conversion.json").write_text(json.dumps(record))
    known = document(
        {"addresses": ["192.0.2.99"]},
        {
            "addresses": ["198.51.100.7", "fe80::1", "2001:db8::7", "2001:db8::8"],
            "ip_config": [
                {"address": "198.51.100.7", "prefix": 22, "origin": "dhcp"},
                {"address": "2001:db8::7", "prefix": 64, "origin": "manual"},
                {"address": "2001:db8::8", "prefix": 64, "origin": "random"},
            ],
            "gateways": ["fe80::ff", "198.51.100.1"],
        },
    )
    found = expectations(None, known, tmp_path, NICS)
    assert [(str(w.address), w.nics, w.prefix, w.source, w.required) for w in found] == [
        ("192.0.2.10", (0,), 25, "conversion", True),
        ("198.51.100.7", (1,), 22, "manifest", True),
        ("2001:db8::7", (1,), 64, "manifest", True),
        ("2001:db8::8", (1,), 64, "manifest", False),
    ]
    assert found[1].gateway == ip_address("198.51.100.1")


@pytest.mark.parametrize(
    "text", ["", "[]", '{"result": {}}', '{"result": {"guest": {"network": null}}}']
)
def test_a_record_that_says_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "conversion.json").write_text(text)
    assert expectations(None, TWO, tmp_path, NICS) == ()


def test_a_bond_s_address_is_at_any_of_its_nics(tmp_path: Path) -> None:
    bonded = {
        "nic": "nic-0",
        "mac": MACS[0],
        "address": "2001:db8::20",
        "prefix": 64,
        "gateway": "fe80::1",
        "interface": "bond0.100",
        "nics": ["nic-0", "nic-1"],
        "tag": 100,
    }
    record = {"result": {"guest": {"network": {"expected": [bonded]}}}}
    (tmp_path / "conversion.json").write_text(json.dumps(record))
    known = document({"addresses": ["192.0.2.1"]}, {"addresses": ["192.0.2.2"]})
    [found] = expectations(None, known, tmp_path, NICS)
    assert (found.nics, found.vlan, found.gateway) == ((0, 1), 100, None)
