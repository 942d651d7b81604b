# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Disk, Guest, Nic
from ansible_collections.hypersdk.hyper2kvm.tests.guests.hardware import Wires, command_line

NIC = Nic("ens192", "00:50:56:8a:20:01", 192, "192.0.2.11/24", "192.0.2.0/24")
DISK = Disk(Path("boot.vmdk"), Path("boot.raw"), 1 << 20, "esxi")


def netdev(way: str) -> str:
    guest = Guest(
        *("web", "web01", Path("."), "bios", "debian12_64Guest", "Debian", 1, 512, DISK, DISK),
        *((NIC,), "login:", 7777, "web01", "/srv", {}),
    )
    wires = Wires({NIC.mac: 1001}, {NIC.mac: 1002}, {})
    argv = command_line(
        *(guest, "virtio", [DISK.raw], [NIC], wires),
        scratch=Path("."),
        console=Path("console.log"),
        way=way,
    )
    return argv[argv.index("-netdev") + 1]


@pytest.mark.parametrize(("way", "offered"), [("ifupdown-dhcp", 11), ("nm-name", 200), ("", 200)])
def test_only_a_way_that_asks_for_its_address_is_given_it(way: str, offered: int) -> None:
    assert f"dhcpstart=192.0.2.{offered}," in netdev(way)
