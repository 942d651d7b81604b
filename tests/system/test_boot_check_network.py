# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""kvm_boot_check as the network of a real Linux: who answers, where, and who does not."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support import tiny_linux
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module

pytestmark = pytest.mark.emulated

MACS = [f"00:50:56:8a:10:{number:02x}" for number in range(1, 8)]

# What udhcpc does with a lease.
LEASE = """\
cat > /lease << 'END'
#!/bin/sh
[ "$1" = bound ] && ip addr add $ip/$mask dev $interface && ip route add default via $router
true
END
chmod +x /lease
"""
SERVE = "(while true; do echo web01 | nc -l -p 7777; done) &\n"


def manifest(directory: Path, *nics: dict[str, Any]) -> Path:
    """Describe a machine that boots tiny_linux from its second disk's script."""
    out = directory / "out"
    out.mkdir()
    disks = [tiny_linux.bios_disk(), directory / "disk-1.raw"]
    names = ["disk-0", "disk-1"]
    (out / "conversion.json").write_text(
        json.dumps(
            {"outputs": [{"id": name, "path": str(path)} for name, path in zip(names, disks)]}
        )
    )
    document = {
        "manifest_version": "1.0",
        "vm": {"cpu": 1, "mem_gb": 1, "memory_mb": 256, "firmware": "bios"},
        "disks": [
            {
                "id": name,
                "source_format": "raw",
                "bytes": 1 << 20,
                "boot_order_hint": place,
                "local_path": str(path),
            }
            for place, (name, path) in enumerate(zip(names, disks))
        ],
        "pipeline": {"convert": {"enabled": True}},
        "nics": [
            {"id": f"nic-{index}", "mac": mac, **nic}
            for index, (mac, nic) in enumerate(zip(MACS, nics))
        ],
    }
    path = directory / "artifact-manifest.json"
    path.write_text(json.dumps(document))
    return path


# Seven NICs, so that one boot shows all of it.
SCRIPT = f"""\
{LEASE}
ip link set eth0 up
ip addr add 192.0.2.10/24 dev eth0
ip addr add 2001:db8::10/64 dev eth0
ip link set eth1 up
udhcpc -i eth1 -s /lease -n -q -f
echo active-backup > /sys/class/net/bond0/bonding/mode
echo 100 > /sys/class/net/bond0/bonding/miimon
ip link set bond0 up
echo +eth2 > /sys/class/net/bond0/bonding/slaves
echo +eth3 > /sys/class/net/bond0/bonding/slaves
ip link add link bond0 name bond0.100 type vlan id 100
ip link set bond0.100 up
ip addr add 198.51.100.20/24 dev bond0.100
ip link set eth4 up
ip link set eth5 up
ip addr add 203.0.113.4/28 dev eth5
ip addr add 203.0.113.20/28 dev eth4
ip link set eth6 up
ip addr add 10.9.8.7/16 dev eth6
ip route add blackhole 10.9.0.99/32
{SERVE}
(while true; do echo something else | nc -l -p 7778; done) &
(while true; do nc -l -p 7779 -e sh -c 'read word; echo you said $word'; done) &
{tiny_linux.LOGIN}
"""

EXPECT: dict[str, dict[str, Any]] = {
    "port": {"address": "192.0.2.10", "port": 7777, "pattern": "^web01$"},
    "ping": {"address": "192.0.2.10/24", "nic": "nic-0"},
    "IPv6 port": {"address": "2001:db8::10", "port": 7777},
    "IPv6 ping": {"address": "2001:db8::10", "mac": MACS[0], "gateway": "2001:db8::1"},
    "said": {"address": "192.0.2.10", "port": 7779, "send": "hello\n", "pattern": "said hello"},
    "leased": {"nic": "nic-1", "port": 7777},
    "bond's VLAN": {"address": "198.51.100.20", "vlan": 100, "port": 7777},
    "bond's VLAN, not told": {"address": "198.51.100.20"},
    "neighbour only": {
        "address": "10.9.8.7",
        "nic": "nic-6",
        "gateway": "10.9.0.99",
        "prefix": 16,
    },
    "small network": {"address": "203.0.113.20/28", "nic": "4"},
    "other NIC": {"address": "203.0.113.4/28", "nic": "nic-4", "timeout": 20},
    "other NIC's port": {
        "address": "203.0.113.4/28",
        "nic": "nic-4",
        "port": 7777,
        "timeout": 20,
    },
    "nobody": {"address": "192.0.2.99", "timeout": 5},
    "wrong VLAN": {"address": "192.0.2.10", "vlan": 7, "timeout": 5},
    "closed port": {"address": "192.0.2.10", "port": 9, "timeout": 5},
    "other words": {"address": "192.0.2.10", "port": 7778, "pattern": "^web01", "timeout": 5},
}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory = tmp_path_factory.mktemp("network")
    tiny_linux.script_disk(directory / "disk-1.raw", SCRIPT)
    result = run_module(
        "kvm_boot_check",
        {
            "manifest": str(manifest(directory, *[{} for _mac in MACS])),
            "expect": list(EXPECT.values()),
            "answer_timeout": 60,
            "require_answers": False,
        },
    )
    assert result.get("booted") is True, result
    return result


@pytest.fixture(scope="module")
def answers(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return dict(zip(EXPECT, result["answers"]))


@pytest.mark.parametrize(
    ("name", "by", "nic", "read"),
    [
        ("port", "tcp", "nic-0", "web01\n"),
        ("ping", "ping", "nic-0", ""),
        ("IPv6 port", "tcp", "nic-0", "web01\n"),
        ("IPv6 ping", "ping", "nic-0", ""),
        ("said", "tcp", "nic-0", "you said hello\n"),
        ("neighbour only", "arp", "nic-6", ""),
        ("small network", "ping", "nic-4", ""),
    ],
)
def test_who_answers(answers: dict[str, Any], name: str, by: str, nic: str, read: str) -> None:
    answer = answers[name]
    assert answer["answered"] is True, answer
    assert (answer["by"], answer["nic"], answer["read"]) == (by, nic, read)
    assert answer["mac"] == MACS[int(nic[-1])]
    assert answer["reason"] is None
    assert answer["seconds"] > 0


def test_a_leased_address(answers: dict[str, Any], result: dict[str, Any]) -> None:
    assert answers["leased"]["answered"] is True, answers["leased"]
    lease = result["nics"][1]["lease"]
    assert answers["leased"]["address"] == lease.split("/")[0]
    assert [nic["lease"] for nic in result["nics"] if nic["id"] != "nic-1"] == [None] * 6


def test_a_bond_with_a_vlan_on_it(answers: dict[str, Any], result: dict[str, Any]) -> None:
    for name, by in (("bond's VLAN", "tcp"), ("bond's VLAN, not told", "ping")):
        answer = answers[name]
        assert (answer["answered"], answer["by"], answer["vlan"]) == (True, by, 100), answer
        assert answer["nic"] in ("nic-2", "nic-3")
    assert 100 in result["nics"][2]["vlans"] + result["nics"][3]["vlans"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("other NIC", "the guest has this address at nic-5, not at nic-4"),
        ("other NIC's port", "the guest has this address at nic-5, not at nic-4"),
        ("nobody", "nobody has this address"),
        ("wrong VLAN", "nobody has this address"),
        ("closed port", "port 9 refuses connections"),
        ("other words", "port 7778 said 'something else\\n', which does not match '^web01'"),
    ],
)
def test_who_does_not_answer(answers: dict[str, Any], name: str, words: str) -> None:
    answer = answers[name]
    assert (answer["answered"], answer["by"], answer["seconds"]) == (False, None, None), answer
    assert answer["reason"] == words


def test_what_passed_is_kept(result: dict[str, Any]) -> None:
    # A bond sends with its first NIC's address from whichever of them is active.
    senders = [*MACS[:3], MACS[2], *MACS[4:]]
    for nic, mac, sender in zip(result["nics"], MACS, senders):
        assert nic["mac"] == mac
        capture = Path(nic["capture_path"]).read_bytes()
        assert struct.unpack_from("<I", capture) == (0xA1B2C3D4,)
        assert bytes.fromhex(sender.replace(":", "")) in capture or nic["frames"] == 0
    first = set(result["nics"][0]["addresses"])
    assert {"192.0.2.10", "2001:db8::10"} <= first
    # Linux answers for these on every NIC, and has them elsewhere.
    assert not first & {"203.0.113.4", "203.0.113.20", "192.0.2.99"}


def test_what_is_known_of_the_guest_is_expected(tmp_path: Path) -> None:
    """Static by the conversion; leased and configured by itself as VMware Tools saw it."""
    by_itself = "2001:db8:7:0:250:56ff:fe8a:1003"
    tiny_linux.script_disk(
        tmp_path / "disk-1.raw",
        f"""\
        {LEASE}
        ip link set eth0 up
        ip addr add 192.0.2.10/24 dev eth0
        ip link set eth1 up
        udhcpc -i eth1 -s /lease -n -q -f
        ip link set eth2 up
        {tiny_linux.LOGIN}
        """.replace("        ", ""),
    )
    seen = {"address": by_itself, "prefix": 64, "origin": "linklayer"}
    path = manifest(
        tmp_path,
        {"addresses": ["192.0.2.77"]},
        {"addresses": ["198.51.100.7"], "gateways": ["198.51.100.1"]},
        {"addresses": ["fe80::1", by_itself], "ip_config": [seen]},
    )
    record = json.loads((tmp_path / "out/conversion.json").read_text())
    static = {"nic": "nic-0", "mac": MACS[0], "address": "192.0.2.10", "prefix": 24}
    record["result"] = {"guest": {"network": {"expected": [{**static, "gateway": ""}]}}}
    (tmp_path / "out/conversion.json").write_text(json.dumps(record))
    result = run_module("kvm_boot_check", {"manifest": str(path)})
    assert result.get("booted") is True, result
    assert [(a["address"], a["nic"], a["answered"], a["source"]) for a in result["answers"]] == [
        ("192.0.2.10", "nic-0", True, "conversion"),
        ("198.51.100.7", "nic-1", True, "manifest"),
        (by_itself, "nic-2", True, "manifest"),
    ]
    assert result["nics"][1]["lease"] == "198.51.100.7/24"
    assert [answer["required"] for answer in result["answers"]] == [True, True, False]


def test_a_machine_that_does_not_answer_has_failed(tmp_path: Path) -> None:
    disk = tiny_linux.script_disk(
        tmp_path / "disk-1.raw",
        f"ip link set eth0 up\nip addr add 192.0.2.11/24 dev eth0\n{tiny_linux.LOGIN}",
    )
    result = run_module(
        "kvm_boot_check",
        {
            "disks": [str(tiny_linux.bios_disk()), str(disk)],
            "evidence_dir": str(tmp_path / "evidence"),
            "memory_mb": 256,
            "macs": [MACS[0]],
            "expect": [{"address": "192.0.2.10"}],
            "answer_timeout": 5,
        },
    )
    assert (result["failed"], result["booted"], result["state"]) == (True, True, "no_answer")
    assert "192.0.2.10: nobody has this address" in result["msg"]
    assert result["answers"][0]["answered"] is False
    assert [image["unchanged"] for image in result["images"]] == [True, True]


def test_ready_when_it_answers(tmp_path: Path) -> None:
    """For a guest that says nothing on its console, as Windows does."""
    disk = tiny_linux.script_disk(
        tmp_path / "disk-1.raw",
        f"{LEASE}ip link set eth0 up\nudhcpc -i eth0 -s /lease -n -q -f\n{SERVE}",
    )
    result = run_module(
        "kvm_boot_check",
        {
            "disks": [str(tiny_linux.bios_disk()), str(disk)],
            "evidence_dir": str(tmp_path / "evidence"),
            "memory_mb": 256,
            "macs": [MACS[0]],
            "ready": "answers",
            "expect": [{"nic": "0", "port": 7777}],
        },
    )
    assert result.get("booted") is True, result
    assert result["matched"] == ""
    assert result["answers"][0]["answered"] is True
    assert result["answers"][0]["seconds"] <= result["seconds"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ready": "answers"}, "no address is known"),
        ({"expect": [{"address": "192.0.2.10"}]}, "no NIC"),
        ({"expect": [{"address": "192.0.2.10", "nic": "nic-3"}], "macs": MACS}, ""),
        ({"expect": [{"address": "nowhere"}], "macs": MACS}, "nowhere"),
        ({"macs": ["00:50:56"]}, "no MAC address"),
    ],
)
def test_refusals(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    disk = tmp_path / "disk-0.raw"
    disk.write_bytes(bytes(1 << 20))
    result = run_module(
        "kvm_boot_check", {"disks": [str(disk)], **options}, check=bool(words == "")
    )
    assert result.get("failed", False) is bool(words)
    assert words in result.get("msg", "")


def test_the_kernel_finds_nics_in_the_order_that_the_conversion_has_read(tmp_path: Path) -> None:
    """eth0 is the manifest's second NIC, and has the MAC address that the guest was bound to."""
    new = "52:54:00:aa:00:01"
    script = (
        "ip link set eth0 up\nip addr add 192.0.2.2/24 dev eth0\n"
        "ip link set eth1 up\nip addr add 198.51.100.1/24 dev eth1\n"
        "echo; cat /sys/class/net/eth0/address\n" + tiny_linux.LOGIN
    )
    tiny_linux.script_disk(tmp_path / "disk-1.raw", script)
    path = manifest(tmp_path, {}, {})
    record = json.loads((tmp_path / "out" / "conversion.json").read_text())
    record["result"] = {"guest": {"network": {"order": ["nic-1", "nic-0"], "macs": {"nic-1": new}}}}
    (tmp_path / "out" / "conversion.json").write_text(json.dumps(record))
    result = run_module(
        "kvm_boot_check",
        {
            "manifest": str(path),
            "expect": [
                {"address": "192.0.2.2/24", "nic": "nic-1"},
                {"address": "198.51.100.1/24", "nic": "nic-0"},
            ],
        },
    )
    assert [answer["answered"] for answer in result["answers"]] == [True, True], result
    assert new in Path(result["console_path"]).read_text()
