# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Export one VM: under one lease, or under several in turn where one is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from ..progress_file import State, progress_written
from ..transfer.cancel import Cancellation
from ..transfer.errors import Cancelled
from ..transfer.progress import Progress
from ..vsphere.connection import renew
from ..vsphere.errors import LeaseLost, VSphereError, sentence
from ..vsphere.facts import read_vm
from ..vsphere.lease import ExportLease
from . import names
from .account import Account
from .devices import match_urls
from .directory import PROGRESS_FILE
from .errors import ExportError
from .fetching import differs, fetch_items
from .ova import pack
from .package import write_package
from .record import ExportedFile, Record, is_intact, same_state
from .request import ExportRequest
from .source import Source

try:
    from pyVmomi import vim, vmodl
except ImportError:
    pass  # vsphere/connection.py tells

# Leases that are asked for in turn before the export fails.
_LEASES = 4
# Times that a file is fetched whose digest differs from what the host has sent.
_TRIES = 3
# Seconds that another task with the VM is waited for; the lease of an export that was killed lives
# for 300. Seconds until the next look, at the most.
_OTHER_TASK = 330.0
_LOOK_AGAIN = 10.0


def is_complete(record: Record, source: Source, request: ExportRequest) -> bool:
    """Tell whether the record of an export of this VM, in this state, has all that is asked for.

    No file is read: their sizes tell.
    """
    return (
        record.complete
        and record.extras == request.extras
        and [file.name for file in record.files if file.kind == "ova"]
        == _ova_wanted(source, request)
        and all(is_intact(request.directory, file) for file in record.files)
    )


def _ova_wanted(source: Source, request: ExportRequest) -> list[str]:
    return [names.ova_name(source.vm, compress=request.compress)] if request.ova else []


def export(
    source: Source,
    request: ExportRequest,
    warn: Callable[[str], None],
    damaged: Collection[str] = (),
) -> Record:
    """Export a VM that is powered off into a directory that is held, and return its record.

    Args:
        source: The VM.
        request: Where to, and how.
        warn: Told what the user should know although the export goes on.
        damaged: Names of files of an earlier export that are not to be kept.

    Raises:
        Hyper2KvmError: The export failed; the lease is aborted and nothing half-done has a name.
    """
    started = time.monotonic()
    account = Account(source, request, damaged)
    progress = Progress(sum(disk.capacity for disk in source.vm.disks))

    def look() -> State:
        return State("exporting", progress.percent(), progress.received)

    with progress_written(request.directory / PROGRESS_FILE, look):
        files = _under_leases(source, request, account, progress, warn)
    # Not before the lease has ended: packing needs nothing of the host.
    packed, members = _packed(source, request, files)
    return account.close(packed, members, time.monotonic() - started, progress.received)


def _packed(
    source: Source, request: ExportRequest, files: Sequence[ExportedFile]
) -> tuple[Sequence[ExportedFile], Sequence[ExportedFile]]:
    """Return the files that stay, and those that have become part of an OVA."""
    if not request.ova:
        return files, ()
    order = ("descriptor", "manifest")
    ordered = sorted(
        files, key=lambda file: order.index(file.kind) if file.kind in order else len(order)
    )
    package = pack(
        request.directory,
        names.ova_name(source.vm, compress=request.compress),
        ordered,
        algorithm=request.checksum_algorithm,
        compress=request.compress,
    )
    return (package,), ordered


def _under_leases(
    source: Source,
    request: ExportRequest,
    account: Account,
    progress: Progress,
    warn: Callable[[str], None],
) -> list[ExportedFile]:
    leases = 1
    while True:
        try:
            return _under_lease(source, request, account, progress, warn)
        except (LeaseLost, vim.fault.NotAuthenticated) as error:
            lost = error if isinstance(error, LeaseLost) else LeaseLost("The session has ended.")
            if leases == _LEASES:
                raise lost from None
            warn(f"{lost.message} Asking for a new lease; what is finished is kept.")
            renew(source.instance, source.vcenter)
            _check_unchanged(source)
            leases += 1


def _check_unchanged(source: Source) -> None:
    """Raise ExportError unless the VM is as it was: without a lease anybody may start it."""
    now = replace(source, vm=read_vm(source.instance, source.managed_object, source.snapshot))
    if not same_state(source.identity, now.identity):
        raise ExportError(
            f"{source.vm.name} may have changed since its export lease was lost.",
            action="Run the task again; every disk is fetched anew.",
        )


def _under_lease(
    source: Source,
    request: ExportRequest,
    account: Account,
    progress: Progress,
    warn: Callable[[str], None],
) -> list[ExportedFile]:
    cancellation = Cancellation()
    with ExportLease(
        source.instance,
        _wait_for_lease(source, warn),
        source.vm.name,
        percent=progress.percent,
        on_lost=cancellation.cancel,
    ) as lease:
        if request.checksum_algorithm == "sha256":
            lease.ask_for_sha256()
        items = match_urls(source.vm, lease.urls, request.extras)
        tries = 1
        while True:
            try:
                files = fetch_items(
                    items,
                    source,
                    request,
                    account,
                    progress=progress,
                    cancellation=cancellation,
                    sent=lease.checksums,
                    warn=warn,
                )
            except Cancelled:
                lease.check()
                raise
            lease.check()
            sent = lease.checksums()
            differing = [file for item, file in zip(items, files) if differs(item, file, sent)]
            if not differing:
                break
            for file in differing:  # such as the host could not tell of before
                account.drop(file)
            listed = ", ".join(file.name for file in differing)
            if tries == _TRIES:
                raise ExportError(
                    f"{listed} arrived {tries} times with another digest than the host sent.",
                    action="Something on the way changes data; look at the network, then export again.",
                )
            warn(f"{listed} arrived with another digest than the host sent. Fetching anew.")
            tries += 1
        files += write_package(source, request, items, files)
    if lease.completion_problem:
        warn(f"vCenter did not take note of the export's end: {lease.completion_problem}.")
    return files


def _wait_for_lease(source: Source, warn: Callable[[str], None]) -> Any:
    """Ask for a lease until no other task of vCenter's is at work with the VM."""
    deadline, pause = time.monotonic() + _OTHER_TASK, 0.0
    while True:
        try:
            return _ask_for_lease(source)
        except vim.fault.TaskInProgress as fault:
            if time.monotonic() >= deadline:
                raise VSphereError(
                    f"vCenter is still at another task with {source.vm.name}.",
                    action="Look at the VM's recent tasks; wait for that one or cancel it, then run again.",
                ) from fault
        if not pause:
            warn(f"vCenter is at another task with {source.vm.name}. Waiting for its end.")
        pause = min(2 * pause or 1.0, _LOOK_AGAIN)
        time.sleep(pause)


def _ask_for_lease(source: Source) -> Any:
    try:
        if source.snapshot is not None:
            return source.snapshot.ExportSnapshot()
        return source.managed_object.ExportVm()
    except vim.fault.InvalidPowerState as fault:
        raise VSphereError(
            f"{source.vm.name} is {fault.existingState}; "
            "only a VM that is powered off can be exported.",
            action="Shut it down, or let the module do so with power_off: true.",
        ) from fault
    except (vim.fault.NotAuthenticated, vim.fault.TaskInProgress):
        raise
    except vmodl.MethodFault as fault:
        raise VSphereError(
            f"vCenter refused to export {source.vm.name}: {sentence(fault)}."
        ) from fault
