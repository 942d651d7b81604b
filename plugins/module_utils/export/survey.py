# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole of vsphere_export_info: what exports of many VMs would move, and what is in their way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..vsphere.concerns import ERROR, Way, concerns_of
from ..vsphere.connection import VCenter, session
from ..vsphere.facts import Vm, read_vms
from ..vsphere.lookup import Search, canonical, find_vms
from .result import disk_result, vm_result


def survey(vcenter: VCenter, search: Search, way: Way) -> dict[str, Any]:
    """Return what there is to say of VMs, as the module returns it.

    Args:
        vcenter: Where to log in, once for all of them.
        search: Which VMs.
        way: How their exports would go about those that run.

    Raises:
        Hyper2KvmError: vCenter can't be asked.
    """
    with session(vcenter) as instance:
        found = read_vms(instance, find_vms(instance, search))
    found.sort(key=lambda vm: (vm.datacenter, vm.folder, vm.name, vm.moid))
    return {
        "vms": [_surveyed(vm, vcenter, way) for vm in found],
        "missing": _missing(search, found),
    }


def _surveyed(vm: Vm, vcenter: VCenter, way: Way) -> dict[str, Any]:
    concerns = concerns_of(vm, way)
    return {
        **vm_result(vm, vcenter),
        "disks": [disk_result(disk, index) for index, disk in enumerate(vm.disks)],
        "concerns": [asdict(concern) for concern in concerns],
        "exportable": not any(concern.severity == ERROR for concern in concerns),
    }


def _missing(search: Search, found: Sequence[Vm]) -> list[str]:
    """Return the names, UUIDs and IDs that were asked for and that no VM has."""
    moids = {vm.moid for vm in found}
    uuids = {vm.instance_uuid if search.use_instance_uuid else vm.uuid for vm in found}
    return [
        *(
            name
            for name in search.names
            if not any(search.fits_name(vm.name, name) for vm in found)
        ),
        *(uuid for uuid in search.uuids if canonical(uuid) not in uuids),
        *(moid for moid in search.moids if moid not in moids),
    ]
