# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole of vsphere_ovf_export: find the VM, say what would change, do it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..vsphere.concerns import ERROR, WARNING, Concern, concerns_of
from ..vsphere.connection import VCenter, renew, session
from ..vsphere.errors import VSphereError
from ..vsphere.facts import Vm, read_vm
from ..vsphere.lookup import Selection, find_vm
from ..vsphere.power import power_on, shut_down
from ..vsphere.snapshot import find_snapshot, own_snapshot
from .account import kept_disks
from .directory import drop_partial_copies, held
from .errors import ExportError
from .record import Record, read_record
from .request import ExportRequest
from .result import planned_paths, planned_result, result_of
from .run import export, is_complete
from .source import Source
from .space import check_space
from .verify import changed_files


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
        source = _source(instance, managed_object, vcenter, request)
        vm = source.vm
        concerns = concerns_of(vm, request.way)
        for concern in concerns:
            if concern.severity == WARNING:
                warn(f"{concern.message} {concern.action}")
        told = {"concerns": [asdict(concern) for concern in concerns]}
        before = _names_there(directory)
        damaged: list[str] = []
        record = read_record(directory)
        if record is not None and record.is_of(source.identity, request.checksum_algorithm):
            damaged = _damaged(directory, record, request, warn)
            if is_complete(record, source, request) and not damaged:
                result = {**result_of(record, vm, vcenter, request), **told}
                return _with_manifest({"changed": False, **result}, request, check)
        _refuse(vm, concerns, request)
        if not check:
            drop_partial_copies(directory)
        if request.check_space:
            check_space(vm, request, kept_disks(record, source, request, damaged))
        if check:
            result = {**planned_result(vm, vcenter, request), **told}
            result["diff"] = _diff(before, planned_paths(result))
            return _with_manifest({"changed": True, **result}, request, check)
        record, exported = _export(source, request, damaged, warn)
        result = {**result_of(record, exported, vcenter, request), **told}
        result["diff"] = _diff(before, [file["path"] for file in result["files"]])
        return _with_manifest({"changed": True, **result}, request, check)


def _with_manifest(result: dict[str, Any], request: ExportRequest, check: bool) -> dict[str, Any]:
    if request.manifest is None:
        return result
    # Only here: schema and validator take a quarter of the time in which the module starts.
    from .manifest import manifest_of

    path, changed = manifest_of(result, request, request.manifest, check=check)
    return {**result, "manifest_path": path, "changed": result["changed"] or changed}


def _source(instance: Any, managed_object: Any, vcenter: VCenter, request: ExportRequest) -> Source:
    vm = read_vm(instance, managed_object)
    source = Source(instance, managed_object, vcenter, vm)
    if request.snapshot is None or request.snapshot.name is None:
        return source
    snapshot = find_snapshot(instance, managed_object, vm.name, request.snapshot.name)
    return _through(source, snapshot)


def _through(source: Source, snapshot: Any) -> Source:
    vm = read_vm(source.instance, source.managed_object, snapshot)
    # One that is made for the export is none of the VM's.
    return replace(source, vm=replace(vm, snapshots=source.vm.snapshots), snapshot=snapshot)


def _export(
    source: Source, request: ExportRequest, damaged: Collection[str], warn: Callable[[str], None]
) -> tuple[Record, Vm]:
    """Export the VM in the way that its state and the request ask for."""
    vm = source.vm
    if source.snapshot is not None:
        return export(source, request, warn, damaged), vm
    if request.snapshot is not None:
        with own_snapshot(
            source.instance,
            source.managed_object,
            vm.name,
            quiesce=request.snapshot.quiesce,
            log_in_again=partial(renew, source.instance, source.vcenter),
            warn=warn,
        ) as snapshot:
            through = _through(source, snapshot)
            return export(through, request, warn, damaged), through.vm
    with _powered_off(source, request, warn) as off:
        return export(off, request, warn, damaged), off.vm


@contextmanager
def _powered_off(
    source: Source, request: ExportRequest, warn: Callable[[str], None]
) -> Iterator[Source]:
    """Yield the VM when it is off; start it again where that is wanted and the block fails."""
    vm = source.vm
    if vm.power_state == "poweredOff":
        yield source
        return
    shut_down(
        source.instance,
        source.managed_object,
        vm,
        timeout=request.shutdown_timeout,
        force=request.force_power_off,
    )
    try:
        # What was written on the way down has changed the state that identifies the export.
        off = read_vm(source.instance, source.managed_object)
        yield replace(source, vm=off.with_guest_networks(vm.guest_networks()))
    except BaseException:
        if request.restart_on_failure:
            try:
                power_on(source.managed_object, vm.name)
            except VSphereError as error:
                warn(f"{vm.name} was shut down for the export and is still off: {error}")
        raise


def _damaged(
    directory: Path, record: Record, request: ExportRequest, warn: Callable[[str], None]
) -> list[str]:
    """Return the names of files that have changed since they were exported, if that is asked."""
    if not request.verify:
        return []
    damaged = [file.name for file in changed_files(directory, record)]
    if damaged:
        warn(
            f"{', '.join(damaged)} in {directory} changed after the export "
            "and no longer has the digest on record."
        )
    return damaged


def _check_request(request: ExportRequest) -> None:
    if not request.directory.is_absolute():
        raise ExportError(f"dest must be an absolute path, and {request.directory} is not.")
    if request.parallel < 1:
        raise ExportError(f"parallel must be at least 1, and is {request.parallel}.")
    if request.stall_timeout < 1:
        raise ExportError(f"stall_timeout must be at least 1, and is {request.stall_timeout}.")
    if request.bandwidth_limit < 0:
        raise ExportError("bandwidth_limit must not be negative.")
    if request.compress and not request.ova:
        raise ExportError(
            "compress goes with format: ova.",
            action="The disks of an OVF package are compressed as they are.",
        )
    if request.manifest is None:
        return
    if request.ova:
        raise ExportError(
            "manifest goes with format: ovf, because a manifest names each disk's own file.",
            action="For an OVA, give its path to the option ovf of artifact_manifest.",
        )
    if request.manifest.checksum and request.checksum_algorithm != "sha256":
        raise ExportError(
            "A manifest holds SHA-256 only, and checksum_algorithm is "
            f"{request.checksum_algorithm}.",
            action="Leave checksum_algorithm out, or set manifest_checksum: false.",
        )


def _refuse(vm: Vm, concerns: Iterable[Concern], request: ExportRequest) -> None:
    """Raise ExportError for what stands in the way, before the VM is shut down for nothing."""
    grave = [
        concern
        for concern in concerns
        if concern.severity == ERROR and concern.id not in request.ignore_concerns
    ]
    if grave:
        raise ExportError(
            " ".join(concern.message for concern in grave),
            action=" ".join(dict.fromkeys(concern.action for concern in grave)),
            concerns=[asdict(concern) for concern in grave],
        )


def _names_there(directory: Path) -> list[str]:
    record = read_record(directory)
    return [str(directory / file.name) for file in record.files] if record else []


def _diff(before: Iterable[str], after: Iterable[str]) -> dict[str, str]:
    return {
        "before": "".join(f"{path}\n" for path in sorted(before)),
        "after": "".join(f"{path}\n" for path in sorted(after)),
    }
