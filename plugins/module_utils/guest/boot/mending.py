# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Linux guest, repaired for a boot on KVM's virtio with its own tools, and looked at again."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from ..network.pinning import names_a_nic
from ..repair import ERROR, Finding, Repair
from .arrays import repair_restrictions
from .drivers import KernelState
from .examination import Examination, Guest, examine_files, examine_kernels
from .kernels import Kernel, find_kernels
from .loader import add_fallback
from .lvm import repair_obstacles
from .making import MakingError, make
from .names import repair_names
from .tools import find_tool, list_modules


def mend(
    guest: Guest,
    examination: Examination,
    *,
    written: Collection[str],
    timeout: float,
    lap: Callable[[str], None],
) -> tuple[list[Repair], list[Finding], Examination]:
    """Repair what can be repaired.

    Args:
        guest: The guest, writable.
        examination: What was seen in it.
        written: Files of the guest's that were changed since its initramfs were made; those that
            carry one are made anew.
        timeout: Seconds that making one initramfs may take.
        lap: Ends a part of the time that is measured.

    Returns:
        What was changed, what could not be, and what is seen now.
    """
    repairs = repair_names(guest.files, examination.named)
    repairs += repair_obstacles(guest.files, examination.lvm)
    repairs += repair_restrictions(guest.files, examination.arrays)
    if examination.loader_finding is not None and examination.esp is not None:
        repairs += add_fallback(guest.files, examination.esp, guest.architecture)
    changed = {repair.path for repair in repairs} | set(written)
    lap("repair")
    rebuilt, problems = _rebuild(guest, examination, changed, timeout)
    lap("initramfs")
    if rebuilt:
        new = {kernel.version: kernel for kernel, _made in rebuilt}
        kernels = tuple(new.get(kernel.version, kernel) for kernel in examination.kernels)
        states, unreadable = examine_kernels(guest, tuple(new.values()))
        examination = _with_states(replace(examination, kernels=kernels), states, unreadable)
    repairs += [repair for _kernel, made in rebuilt for repair in made]
    if repairs:
        examination = examine_files(guest, examination)
    lap("examine")
    return repairs, problems, examination


def _rebuild(
    guest: Guest, examination: Examination, changed: Collection[str], timeout: float
) -> tuple[list[tuple[Kernel, list[Repair]]], list[Finding]]:
    """Make the initramfs anew that lack something or carry what was changed."""
    due: dict[str, KernelState] = {
        state.version: state
        for state in examination.states
        if state.missing
        or state.programs
        or state.carried & set(changed)
        or (state.names_nics and any(map(names_a_nic, changed)))
    }
    unread = {finding.path for finding in examination.unreadable}
    kernels = [k for k in examination.kernels if k.version in due or k.initramfs in unread]
    if not kernels:
        return [], []
    tool = find_tool(guest.files)
    if tool is None:
        return [], [
            Finding(
                ERROR,
                kernels[0].initramfs,
                "The guest has none of initramfs-tools, dracut and mkinitcpio, so its initramfs"
                " can't be made anew.",
                "Put the drivers into it in the guest before the export.",
            )
        ]
    modules = [lack.name for state in due.values() for lack in state.missing]
    programs = [lack.name for state in due.values() for lack in state.programs]
    listed = list_modules(guest.files, tool, list(dict.fromkeys(modules)), programs) if due else []
    rebuilt: list[tuple[Kernel, list[Repair]]] = []
    problems: list[Finding] = []
    for kernel in kernels:
        state = due.get(kernel.version)
        try:
            make(
                guest.files,
                tool,
                kernel,
                modules=state.needed if state is not None else (),
                programs=guest.layers.programs,
                timeout=timeout,
            )
        except MakingError as error:
            problems.append(Finding(ERROR, kernel.initramfs, error.message, error.action))
            continue
        made = kernel if kernel.initramfs else _found_again(guest, kernel)
        missing = state.missing if state is not None else ()
        before = "missing: " + ", ".join(lack.name for lack in missing) if missing else ""
        what = f"Made the initramfs of kernel {kernel.version} anew with {tool.name}"
        rebuilt.append((made, [*listed, Repair(what, made.initramfs, before)]))
        listed = []
    return rebuilt, problems


def _found_again(guest: Guest, kernel: Kernel) -> Kernel:
    """Return a kernel that had no initramfs with the one that it has now."""
    found = (each for each in find_kernels(guest.files) if each.version == kernel.version)
    return next(found, kernel)


def _with_states(
    examination: Examination, states: tuple[KernelState, ...], unreadable: tuple[Finding, ...]
) -> Examination:
    new = {state.version: state for state in states}
    old = {state.version: state for state in examination.states}
    both = {**old, **new}
    seen_again = {state.initramfs for state in states}
    kept = tuple(f for f in examination.unreadable if f.path not in seen_again)
    return replace(
        examination,
        states=tuple(both[k.version] for k in examination.kernels if k.version in both),
        unreadable=(*kept, *(f for f in unreadable if f not in kept)),
    )
