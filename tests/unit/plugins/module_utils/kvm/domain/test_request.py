# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.errors import (
    DomainError,
)
from ansible_collections.hypersdk.hyper2kvm.tests.unit.plugins.module_utils.kvm.domain.asked import (
    DOCUMENT,
    request,
)


def test_the_manifest_says_what_the_machine_is() -> None:
    asked = request()
    assert (asked.name, asked.cpus, asked.memory_mb) == ("web01", 4, 3072)
    assert (asked.firmware, asked.secure_boot) == ("uefi", True)
    assert asked.source == "vsphere DC0 web01 vm-1"


def test_options_win() -> None:
    asked = request(name="app", cpus=1, memory_mb=512, secure_boot=False)
    assert (asked.name, asked.cpus, asked.memory_mb, asked.secure_boot) == ("app", 1, 512, False)


def test_memory_is_the_exact_one_where_it_is_known() -> None:
    document = {**DOCUMENT, "vm": {"mem_gb": 1, "memory_mb": 768}}
    assert request(document).memory_mb == 768


def test_an_unknown_firmware_is_a_bios() -> None:
    assert request({"vm": {"firmware": "unknown"}}).firmware == "bios"


def test_the_uuid_is_the_vms() -> None:
    uuid = "421E6A1C-9F0D-4B7E-9C4F-8F9E4CFB9F10"
    document = {**DOCUMENT, "metadata": {"vsphere": {"uuid": uuid}}}
    assert request(document).uuid == uuid.lower()
    assert request(document, uuid="5" * 32).uuid == "55555555-5555-5555-5555-555555555555"


def test_a_uuid_is_made_where_none_is_known_and_stays() -> None:
    assert request().uuid == request(cpus=2).uuid
    assert request().uuid != request(name="other").uuid
    assert request({**DOCUMENT, "metadata": {"vsphere": {"uuid": "none"}}}).uuid == request().uuid


def test_the_fingerprint_is_of_all_of_it() -> None:
    with_nic = {**DOCUMENT, "nics": [{"network": "VM Network"}]}
    known = request(with_nic).fingerprint()
    assert request(with_nic).fingerprint() == known
    for change in ({"cpus": 5}, {"tpm": True}, {"network_map": {"*": "x"}}, {"osinfo": "win11"}):
        assert request(with_nic, **change).fingerprint() != known


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "a/b"}, "no domain of the name"),
        ({"uuid": "x"}, "is none"),
        ({"firmware": "bios", "secure_boot": True}, "BIOS"),
        ({"placement": "copy"}, "storage pool"),
    ],
)
def test_what_makes_no_domain(options: dict[str, Any], words: str) -> None:
    with pytest.raises(DomainError, match=words):
        request(**options)
