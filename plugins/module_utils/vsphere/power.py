# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shut a VM down, because vSphere exports only VMs that are powered off."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .errors import VSphereError, sentence
from .facts import Vm
from .inventory import read

try:
    from pyVmomi import vim, vmodl
except ImportError:
    pass  # connection.py tells

_LOOK_AGAIN = 1.0  # seconds
_TASK_TIMEOUT = 300.0  # seconds that vCenter may take to power a VM off or on


def shut_down(instance: Any, vm: Any, facts: Vm, *, timeout: float, force: bool) -> None:
    """Bring a VM to poweredOff, through VMware Tools where they run.

    Args:
        instance: The vim.ServiceInstance.
        vm: The vim.VirtualMachine.
        facts: What vCenter said of it.
        timeout: Seconds that the guest may take to shut down.
        force: Whether a guest that doesn't is powered off hard.

    Raises:
        VSphereError: The VM is still running.
    """
    if facts.power_state == "suspended":
        raise VSphereError(
            f"{facts.name} is suspended; its disks are in the middle of something.",
            action="Resume it and shut it down, or power it off, then export.",
        )
    if facts.tools_running:
        try:
            vm.ShutdownGuest()
        except vmodl.MethodFault as fault:
            reason = f"refused to shut down: {sentence(fault)}"
        else:
            if _wait_for_state(instance, vm, "poweredOff", timeout):
                return
            reason = f"did not shut down within {timeout:g} seconds"
    else:
        reason = "can't be asked to shut down: VMware Tools are not running in it"
    if not force:
        raise VSphereError(
            f"{facts.name} {reason}.",
            action="Shut it down yourself, raise shutdown_timeout, or set force_power_off: true.",
        )
    run_task(vm.PowerOffVM_Task, f"powering off {facts.name}")


def power_on(vm: Any, name: str) -> None:
    """Start a VM.

    Raises:
        VSphereError: It can't be started.
    """
    run_task(vm.PowerOnVM_Task, f"powering on {name}")


def _wait_for_state(instance: Any, vm: Any, state: str, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while True:
        if str(read(instance, vm, ["runtime.powerState"]).get("runtime.powerState")) == state:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(min(_LOOK_AGAIN, max(0.0, deadline - time.monotonic())))


def run_task(begin: Callable[[], Any], what: str, timeout: float = _TASK_TIMEOUT) -> Any:
    """Begin a vim.Task, wait for it and return its result.

    Args:
        begin: Asks vCenter for it and returns it.
        what: What it does, for messages.
        timeout: Seconds that it may take.

    Raises:
        VSphereError: It was refused, failed or took too long.
    """
    try:
        task = begin()
    except vmodl.MethodFault as fault:
        raise VSphereError(f"vCenter refused {what}: {sentence(fault)}.") from fault
    deadline = time.monotonic() + timeout
    while True:
        info = task.info
        if info.state == vim.TaskInfo.State.success:
            return info.result
        if info.state == vim.TaskInfo.State.error:
            raise VSphereError(f"vCenter failed at {what}: {sentence(info.error)}.")
        if time.monotonic() >= deadline:
            raise VSphereError(f"vCenter did not finish {what} in {timeout:g} seconds.")
        time.sleep(_LOOK_AGAIN)
