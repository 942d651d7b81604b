# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import (
    Attributes,
    DirectoryFiles,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.keeping import keep
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.pinning import (
    link_path,
    pin,
    rule_text,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.reading import (
    read_network,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.rebinding import (
    rebind,
    rebound,
    with_macs,
)
from ansible_collections.hypersdk.hyper2kvm.tests.unit.plugins.module_utils.guest.network.two_nics import (
    BOTH,
    ONE,
    TWO,
    interfaces,
    tree,
)

NEW = {ONE.mac: "52:54:00:aa:00:01", TWO.mac: "52:54:00:bb:00:02"}
IDS = {"nic-0": NEW[ONE.mac], "nic-1": NEW[TWO.mac]}
KEYFILE = "/etc/NetworkManager/system-connections/a.nmconnection"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("macaddress: '00:50:56:8a:20:01'", "macaddress: '52:54:00:aa:00:01'"),
        ("HWADDR=00:50:56:8A:20:02", "HWADDR=52:54:00:BB:00:02"),
        ("MACAddress=00-50-56-8a-20-01", "MACAddress=52-54-00-aa-00-01"),
        (
            "MACAddress=00:50:56:8a:20:01 00:50:56:8a:20:02",
            "MACAddress=52:54:00:aa:00:01 52:54:00:bb:00:02",
        ),
        ("mac-address=0;80;86;138;32;1;", "mac-address=82;84;0;170;0;1;"),
        # A DUID is what a DHCP server knows the guest by, not where it is plugged in.
        ("DUID=00:01:00:01:2a:2b:2c:2d:00:50:56:8a:20:01", None),
        ("DUIDRawData=00:50:56:8a:20:01:02", None),
        ("iface enx0050568a2001", None),
        ("address 00:50:56:8a:20:11", None),
    ],
)
def test_a_file_names_the_new_addresses(tmp_path: Path, before: str, after: str | None) -> None:
    files = tree(tmp_path, {KEYFILE: f"# \xff é\n{before}\n"})
    files.set_attributes(KEYFILE, Attributes(0o600, *_owner(tmp_path), {"user.label": b"x"}))
    attributes = files.attributes(KEYFILE)
    repairs = rebind(files, keep(files), NEW)
    assert files.read(KEYFILE).decode() == f"# \xff é\n{after or before}\n"
    assert files.attributes(KEYFILE) == attributes
    assert [each.path for each in repairs] == ([KEYFILE] if after else [])


def _owner(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid


def test_what_is_read_of_files_bound_anew_is_what_is_said_of_them(tmp_path: Path) -> None:
    files = bound_by_mac(tmp_path)
    before = read_network(files, BOTH)
    rebind(files, keep(files), NEW)
    nics = with_macs(BOTH, IDS)
    after = rebound(before, NEW)
    again = read_network(files, nics)
    assert (after.expected, after.names, after.macs) == (again.expected, again.names, again.macs)
    assert (after.udev, again.findings) == (again.udev, ())
    assert [each.mac for each in after.expected] == [NEW[ONE.mac]]


def test_names_are_pinned_to_the_new_addresses(tmp_path: Path) -> None:
    files = bound_by_mac(tmp_path)
    reading = rebound(read_network(files, BOTH), NEW)
    rebind(files, keep(files), NEW)
    # ens192 is netplan's to give, and lan1 a rule's, by the addresses that they have now.
    assert pin(files, reading, with_macs(BOTH, IDS)).repairs == ()
    assert {each.name: each.mac for each in reading.names} == {
        "ens192": NEW[ONE.mac],
        "lan1": NEW[TWO.mac],
    }
    files = tree(tmp_path / "other", interfaces("ens224"))
    reading = rebound(read_network(files, BOTH), NEW)
    pin(files, reading, with_macs(BOTH, IDS))
    assert f"MACAddress={NEW[TWO.mac]}\n" in files.read(link_path("ens224")).decode()


def test_the_user_s_own_files_stay(tmp_path: Path) -> None:
    files = tree(tmp_path, {KEYFILE: f"[ethernet]\nmac-address={ONE.mac}\n"})
    assert rebind(files, keep(files), NEW, [KEYFILE]) == []


def bound_by_mac(root: Path) -> DirectoryFiles:
    match = f"match: {{macaddress: '{ONE.mac}'}}, set-name: ens192, addresses: [192.0.2.10/24]"
    return tree(
        root,
        {
            "/etc/netplan/a.yaml": f"network: {{version: 2, ethernets: {{a: {{{match}}}}}}}",
            "/usr/sbin/netplan": "",
            "/etc/udev/rules.d/70-persistent-net.rules": f"{rule_text('lan1', TWO.mac)}\n",
        },
    )
