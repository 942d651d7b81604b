# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What VMware Tools told of a guest's network before it was shut down is in its manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.tests.support.exporting import export
from ansible_collections.hypersdk.hyper2kvm.tests.support.hyper2kvm_loader import hyper2kvm_loads
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim

SEEN: list[dict[str, Any]] = [
    {
        "mac": "00:50:56:8a:21:01",
        "network": "VM Network",
        "adapter_type": "vmxnet3",
        "addresses": ["192.0.2.21", "2001:db8::21", "fe80::21"],
        "ip_config": [
            {"address": "192.0.2.21", "prefix": 24, "origin": "manual"},
            {"address": "2001:db8::21", "prefix": 64, "origin": "manual"},
        ],
        "gateways": ["192.0.2.1", "2001:db8::1"],
        "dns_servers": ["192.0.2.53"],
        "dns_search": ["example.com"],
    },
    {
        "mac": "00:50:56:8a:21:02",
        "network": "VM Network",
        "adapter_type": "e1000e",
        "addresses": ["198.51.100.21"],
        "ip_config": [{"address": "198.51.100.21", "prefix": 28, "origin": "dhcp"}],
        "dns_servers": ["192.0.2.53"],
        "dns_search": ["example.com"],
    },
]


def nics(path: Path) -> list[dict[str, Any]]:
    document = json.loads(path.read_text())
    assert hyper2kvm_loads(path)["boot"] == "disk-0"
    return [
        {key: value for key, value in nic.items() if key not in ("id", "label", "pci_slot")}
        for nic in document["nics"]
    ]


def test_a_guest_that_is_shut_down_is_remembered(small_vcenter: Vcsim, tmp_path: Path) -> None:
    asked = {"name": "live01", "manifest": True}
    result = export(small_vcenter, tmp_path, power_off=True, **asked)
    assert result["changed"] is True, result
    path = tmp_path / "artifact-manifest.json"
    assert nics(path) == SEEN
    # Off, it tells nothing any more; the export knows.
    (vm,) = (vm for vm in small_vcenter.status()["vms"] if vm["name"] == "live01")
    assert vm["power_state"] == "poweredOff"
    again = export(small_vcenter, tmp_path, **asked)
    assert again["changed"] is False and again["vm"] == result["vm"]
    # Fetched anew, after a file was lost, it is the same guest still.
    Path(result["disks"][0]["path"]).unlink()
    repeated = export(small_vcenter, tmp_path, **asked)
    assert repeated["changed"] is True
    assert nics(path) == SEEN


def test_a_guest_that_goes_on_running_is_described(small_vcenter: Vcsim, tmp_path: Path) -> None:
    asked = {"name": "live01", "manifest": True, "snapshot": {"create": True}}
    assert export(small_vcenter, tmp_path, **asked)["changed"] is True
    assert nics(tmp_path / "artifact-manifest.json") == SEEN
