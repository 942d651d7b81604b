# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole of vsphere_ovf_export: find the VM, say what would change, do it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..vsphere.connection import VCenter, session
from ..vsphere.errors import VSphereError
from ..vsphere.facts import Vm, read_vm
from ..vsphere.lookup import Selection, find_vm
from ..vsphere.power import shut_down
from .directory import held
from .errors import ExportError
from .record import read_record
from .request import ExportRequest
from .result import planned_result, result_of
from .run import Source, export, unchanged_export


def run_export(
    vcenter: VCenter,
    selection: Selection,
    request: ExportRequest,
    *,
    check: bool,
    warn: Callable[[str], None],
) -> dict[str, Any]:
    """Export a VM, unless an export of it is there that is still true.

    Args:
        vcenter: Where to log in.
        selection: Which VM.
        request: Where to, and how.
        check: Whether only to say what would be done.
        warn: Told what the user should know although the task goes on.

    Returns:
        The module's result, with C(changed) and C(diff).

    Raises:
        Hyper2KvmError: The VM can't be exported.
    """
    _check_request(request)
    directory = request.directory
    with ExitStack() as stack:
        if not check:
            stack.enter_context(held(directory))
        instance = stack.enter_context(session(vcenter))
        managed_object = find_vm(instance, selection)
        vm = read_vm(instance, managed_object)
        source = Source(instance, managed_object, vcenter, vm)
        before = _names_there(directory)
        record = unchanged_export(source, request)
        if record is not None:
            return {"changed": False, **result_of(record, vm, vcenter, directory)}
        _check_exportable(vm, request)
        if check:
            result = planned_result(vm, vcenter, directory)
            paths = [result["ovf_path"], result["mf_path"], *(d["path"] for d in result["disks"])]
            return {"changed": True, **result, "diff": _diff(before, paths)}
        if vm.power_state != "poweredOff":
            shut_down(
                instance,
                managed_object,
                vm,
                timeout=request.shutdown_timeout,
                force=request.force_power_off,
            )
            # What was written on the way down has changed the VM's state on record.
            source = Source(instance, managed_object, vcenter, read_vm(instance, managed_object))
        record = export(source, request, warn)
        result = result_of(record, source.vm, vcenter, directory)
        result["vm"]["power_state"] = vm.power_state
        return {
            "changed": True,
            **result,
            "diff": _diff(before, [file["path"] for file in result["files"]]),
        }


def _check_request(request: ExportRequest) -> None:
    if not request.directory.is_absolute():
        raise ExportError(f"dest must be an absolute path, and {request.directory} is not.")
    if request.parallel < 1:
        raise ExportError(f"parallel must be at least 1, and is {request.parallel}.")


def _check_exportable(vm: Vm, request: ExportRequest) -> None:
    if not vm.disks:
        raise ExportError(f"{vm.name} has no disk to export.")
    if vm.power_state != "poweredOff" and not request.power_off:
        raise VSphereError(
            f"{vm.name} is {vm.power_state}; only a VM that is powered off can be exported.",
            action="Shut it down, or let the module do so with power_off: true.",
        )


def _names_there(directory: Path) -> list[str]:
    record = read_record(directory)
    return [str(directory / file.name) for file in record.files] if record else []


def _diff(before: Iterable[str], after: Iterable[str]) -> dict[str, str]:
    return {
        "before": "".join(f"{path}\n" for path in sorted(before)),
        "after": "".join(f"{path}\n" for path in sorted(after)),
    }
