# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Snapshots to export a running VM through: found, made, always taken away again."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from ..errors import Interrupted
from .errors import VSphereError, sentence
from .inventory import read
from .power import run_task
from .snapshot_tree import OWN_NAME, named, snapshots_of

try:
    from pyVmomi import vmodl
except ImportError:
    pass  # connection.py tells

# Seconds that making or removing one may take: consolidating large deltas takes long.
_TIMEOUT = 3600.0
# Seconds until one must be there whose making was interrupted.
_LATE = 30.0


def find_snapshot(instance: Any, vm: Any, vm_name: str, name: str) -> Any:
    """Return the vim.vm.Snapshot with this name.

    Raises:
        VSphereError: There is none, or there are several.
    """
    info = read(instance, vm, ["snapshot"]).get("snapshot")
    found = named(info, name)
    if len(found) != 1:
        known = ", ".join(repr(each.name) for each in snapshots_of(info)) or "none"
        count = "no snapshot" if not found else "several snapshots"
        raise VSphereError(
            f"{vm_name} has {count} named {name!r}; its snapshots are: {known}.",
            action="Name one that exists once, or let the module make one.",
        )
    return found[0]


@contextmanager
def own_snapshot(
    instance: Any,
    vm: Any,
    vm_name: str,
    *,
    quiesce: bool,
    log_in_again: Callable[[], None],
    warn: Callable[[str], None],
) -> Iterator[Any]:
    """Make a snapshot for an export and yield it; remove it whatever happens.

    Args:
        instance: The vim.ServiceInstance.
        vm: The vim.VirtualMachine.
        vm_name: For messages.
        quiesce: Whether VMware Tools bring the guest's filesystems to rest first.
        log_in_again: Renews the session where vCenter has ended it, as it does after half an hour
            without a question: an OVA can take that long to pack.
        warn: Told when the snapshot can't be removed, which must not hide an earlier error.

    Raises:
        VSphereError: It can't be made.
    """
    create = partial(
        vm.CreateSnapshot_Task,
        name=OWN_NAME,
        description="Made for an export; safe to remove when none is running.",
        memory=False,
        quiesce=quiesce,
    )
    before = _own_ones(instance, vm)
    try:
        snapshot = run_task(create, f"making a snapshot of {vm_name}", _TIMEOUT)
    except Interrupted:
        # vCenter goes on making it.
        with _left_behind(vm_name, warn):
            for late in _appearing(instance, vm, before):
                _remove(late, vm_name)
        raise
    try:
        yield snapshot
    finally:
        with _left_behind(vm_name, warn):
            log_in_again()
            _remove(snapshot, vm_name)


def _own_ones(instance: Any, vm: Any) -> list[Any]:
    return named(read(instance, vm, ["snapshot"]).get("snapshot"), OWN_NAME)


def _appearing(instance: Any, vm: Any, before: Sequence[Any]) -> Sequence[Any]:
    """Return the snapshots of ours that were not there before, waited for some seconds."""
    deadline = time.monotonic() + _LATE
    while True:
        late = [each for each in _own_ones(instance, vm) if each not in before]
        if late or time.monotonic() >= deadline:
            return late
        time.sleep(1.0)


def _remove(snapshot: Any, vm_name: str) -> None:
    run_task(
        partial(snapshot.RemoveSnapshot_Task, removeChildren=False),
        f"removing the export's snapshot of {vm_name}",
        _TIMEOUT,
    )


@contextmanager
def _left_behind(vm_name: str, warn: Callable[[str], None]) -> Iterator[None]:
    """Warn of what keeps a snapshot from being removed."""
    try:
        yield
    except (VSphereError, vmodl.MethodFault, OSError, http.client.HTTPException) as error:
        reason = str(error) if isinstance(error, VSphereError) else sentence(error)
        warn(f"The snapshot {OWN_NAME} of {vm_name} is still there: {reason}")
