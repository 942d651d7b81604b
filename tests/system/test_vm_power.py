# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""vsphere_vm_power against the simulated vCenter."""

from __future__ import annotations

from typing import Any

from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim


def power(vcenter: Vcsim, state: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
    arguments = {
        "hostname": vcenter.hostname,
        "port": vcenter.port,
        "username": vcenter.username,
        "password": vcenter.password,
        "ca_path": str(vcenter.ca_path),
        "name": "small01",
        "state": state,
        **options,
    }
    return run_module("vsphere_vm_power", arguments, check=check, diff=True)


def test_on_and_off_and_left_alone(small_vcenter: Vcsim) -> None:
    first = power(small_vcenter, "powered_on")
    assert (first["changed"], first["vm"]["power_state"]) == (True, "powered_on")
    assert first["diff"] == {
        "before": {"power_state": "powered_off"},
        "after": {"power_state": "powered_on"},
    }
    assert power(small_vcenter, "powered_on")["changed"] is False
    planned = power(small_vcenter, "powered_off", check=True, force_power_off=True)
    assert planned["changed"] is True
    assert power(small_vcenter, "powered_on")["changed"] is False
    assert power(small_vcenter, "powered_off", force_power_off=True)["changed"] is True
    assert power(small_vcenter, "powered_off")["changed"] is False


def test_a_vm_that_is_not_there(small_vcenter: Vcsim) -> None:
    result = power(small_vcenter, "powered_on", name="nobody")
    assert result["failed"] is True
    assert "nobody" in result["msg"]
