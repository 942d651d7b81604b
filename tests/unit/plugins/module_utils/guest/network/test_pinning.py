# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network import udev
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.pinning import (
    PERSISTENT_RULES,
    link_path,
    link_text,
    names_a_nic,
    pin,
    rule_text,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.reading import (
    read_network,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.sections import (
    parse_sections,
)
from ansible_collections.hypersdk.hyper2kvm.tests.unit.plugins.module_utils.guest.network.two_nics import (
    BOTH,
    ONE,
    SETUP_LINK,
    TWO,
    interfaces,
    tree,
)


@pytest.mark.parametrize(("systemd", "only"), [(219, "Driver=virtio_net"), (252, "Type=ether")])
def test_each_nic_is_pinned_by_a_link(tmp_path: Path, systemd: int, only: str) -> None:
    files = tree(
        tmp_path,
        {**interfaces("ens192"), f"/lib/systemd/libsystemd-shared-{systemd}.so": ""},
    )
    reading = read_network(files, BOTH)
    pins = pin(files, reading, BOTH)
    assert [each.path for each in pins.repairs] == [link_path("ens192"), link_path("ens224")]
    text = files.read(link_path("ens192")).decode()
    assert text == link_text("ens192", ONE.mac, systemd)
    assert [(s.name, s.entries) for s in parse_sections(text)] == [
        ("Match", (("MACAddress", ONE.mac), tuple(only.split("=")))),
        ("Link", (("Name", "ens192"),)),
    ]
    assert all(names_a_nic(each.path) for each in pins.repairs)
    assert not pin(files, reading, BOTH).repairs


def test_older_guests_get_rules(tmp_path: Path) -> None:
    files = tree(tmp_path, {**interfaces("ens192"), PERSISTENT_RULES: "# mine"})
    files.remove(SETUP_LINK)
    files.write("/lib/udev/rules.d/80-net-name-slot.rules", b"")
    reading = read_network(files, BOTH)
    assert not reading.udev.reads_links and reading.udev.predictable
    pins = pin(files, reading, BOTH)
    text = files.read(PERSISTENT_RULES).decode()
    assert text.startswith("# mine\n") and rule_text("ens192", ONE.mac) in text.splitlines()
    assert {each.path for each in pins.repairs} == {PERSISTENT_RULES}
    again = udev.parse_rules(text, PERSISTENT_RULES)
    assert [(each.name, each.mac, each.found_by) for each in again] == [
        ("ens192", ONE.mac, ""),
        ("ens224", TWO.mac, ""),
    ]
    assert not pin(files, reading, BOTH).repairs


def test_a_name_that_its_manager_gives_is_not_pinned_again(tmp_path: Path) -> None:
    text = (
        f"network: {{ethernets: {{a: {{match: {{macaddress: '{ONE.mac}'}}, set-name: ens192}}}}}}"
    )
    files = tree(tmp_path, {"/etc/netplan/a.yaml": text})
    assert not pin(files, read_network(files, (ONE,)), (ONE,)).repairs
    # Somebody else relies on the name as well.
    files.write("/etc/network/interfaces", interfaces("ens192")["/etc/network/interfaces"].encode())
    assert len(pin(files, read_network(files, (ONE,)), (ONE,)).repairs) == 1


def test_a_new_mac_is_what_is_pinned(tmp_path: Path) -> None:
    files = tree(tmp_path, interfaces("ens192"))
    reading = read_network(files, (ONE,))
    pin(files, reading, (replace(ONE, mac="52:54:00:00:00:01"),))
    assert "MACAddress=52:54:00:00:00:01\n" in files.read(link_path("ens192")).decode()


def test_names_that_are_no_names_are_never_written(tmp_path: Path) -> None:
    files = tree(tmp_path, interfaces('x"../../y', "a" * 40))
    reading = read_network(files, BOTH)
    pins = pin(files, reading, BOTH)
    assert [each.path for each in pins.repairs] == [link_path("ens192"), link_path("ens224")]
