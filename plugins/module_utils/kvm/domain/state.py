# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring a domain about, or take it away: look and decide first, then act."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...sandbox.kvm_device import kvm_works
from ..disks import converted_disks
from . import placing, record
from .definition import Mark, definition, mark_of, parsed
from .errors import DomainError
from .hypervisor import Defined, Hypervisor, Pool
from .placing import Placed
from .record import Record
from .request import IN_PLACE, Request


@dataclass(frozen=True)
class Outcome:
    """What a domain is or would be.

    Attributes:
        changed: Whether anything was, or would be, changed.
        before: The domain's XML before, empty when there was none.
        after: Its XML afterwards, empty when there is none.
        facts: The module's further results.
    """

    changed: bool
    before: str
    after: str
    facts: Mapping[str, Any]


def define(
    request: Request,
    document: dict[str, Any],
    output_directory: Path,
    hypervisor: Hypervisor,
    *,
    check_mode: bool,
) -> Outcome:
    """Define the domain that is asked for, unless it is defined already.

    Args:
        request: The domain.
        document: The manifest.
        output_directory: Where hyper2kvm_convert put the disks.
        hypervisor: libvirt.
        check_mode: Whether to say only what would be.

    Raises:
        DomainError: It can't be, or something is in its way; nothing has changed then.
    """
    existing = _ours(request, hypervisor)
    handed_over = record.load(request.directory)
    pool = _pool(request, hypervisor)
    placed = _placed(request, document, output_directory, handed_over, pool)
    unchanged = (
        existing is not None
        and existing.mark is not None
        and existing.mark.request == request.fingerprint()
    )
    if existing is not None and unchanged:
        _check_present(placed)
        return Outcome(
            False, existing.xml, existing.xml, _facts(request, placed, existing, existing.xml)
        )
    _check_networks(request, hypervisor)
    if existing is not None and existing.edited:
        raise DomainError(
            f"The domain {request.name} was edited since this VM was migrated, and now other options are"
            " given: defining it anew would undo the edits.",
            action="Give the options that it was defined with and edit it with virsh, or roll it back first.",
        )
    if handed_over is None:
        placing.check(placed, request, pool)
    if hypervisor.is_local:
        placing.check_reachable(placed, hypervisor.qemu_user())
    # A virtual CPU is tried only where the domain will run.
    kvm = kvm_works() if hypervisor.is_local else True
    xml = definition(
        request,
        [disk.disk for disk in placed],
        next(index for index, disk in enumerate(placed) if disk.boots),
        uri=hypervisor.uri,
        kvm=kvm,
    )
    before = existing.xml if existing is not None else ""
    if check_mode:
        return Outcome(True, before, xml, _facts(request, placed, existing, xml))
    fresh = handed_over is None
    defined = _apply(request, placed, xml, hypervisor, fresh=fresh, new=existing is None)
    return Outcome(True, before, defined.xml, _facts(request, placed, defined, defined.xml))


def undefine(name: str, directory: Path, hypervisor: Hypervisor, *, check_mode: bool) -> Outcome:
    """Stop the domain of a VM and forget it, and undo what was done to its disks.

    Args:
        name: The domain's name, where no domain.json tells it.
        directory: The VM's directory.
        hypervisor: libvirt.
        check_mode: Whether to say only what would be.

    Raises:
        DomainError: The domain of this name is not this VM's; nothing has changed then.
    """
    handed_over = record.load(directory)
    if handed_over is not None:
        name = handed_over.name
        if handed_over.uri != hypervisor.uri:
            raise DomainError(
                f"The domain {name} was defined at {handed_over.uri}, not at {hypervisor.uri}.",
                action="Give that URI.",
            )
    existing = hypervisor.domain(name)
    if existing is None and handed_over is not None:
        # Somebody may have renamed it.
        existing = hypervisor.domain_of(handed_over.uuid)
    placed: Sequence[Placed] = handed_over.disks if handed_over is not None else ()
    if existing is not None:
        name = existing.name
        _refuse_foreign(existing, name, directory)
        _check_used(existing, placed)
    facts = {
        "name": name,
        "uuid": existing.uuid
        if existing is not None
        else (handed_over.uuid if handed_over else ""),
        "disks": placing.as_records(placed),
        "active": False,
    }
    changed = existing is not None or handed_over is not None
    before = existing.xml if existing is not None else ""
    if changed and not check_mode:
        if existing is not None:
            hypervisor.undefine(existing)
        if handed_over is not None:
            taken = [placing.take_back(disk, handed_over.placement) for disk in placed]
            if any(taken) and hypervisor.is_local:
                hypervisor.refresh(handed_over.pool)
            record.remove(directory)
    return Outcome(changed, before, "", facts)


def _ours(request: Request, hypervisor: Hypervisor) -> Defined | None:
    """Return the domain of this VM; raises DomainError when another one is in its way."""
    existing = hypervisor.domain(request.name)
    if existing is not None:
        _refuse_foreign(existing, request.name, request.directory)
        if existing.uuid != request.uuid:
            raise DomainError(
                f"The domain {request.name} is this VM's, and its UUID is {existing.uuid}, not {request.uuid}.",
                action="A domain's UUID can't be changed: roll it back first.",
            )
        return existing
    other = hypervisor.domain_of(request.uuid)
    if other is not None:
        raise DomainError(
            f"The domain {other.name} has the UUID {request.uuid} already, which is this VM's BIOS UUID.",
            action="Give this one another UUID, or roll the other one back if it is the same VM.",
        )
    return None


def _refuse_foreign(existing: Defined, name: str, directory: Path) -> None:
    if existing.mark is None:
        raise DomainError(
            f"There is a domain {name} that this collection has not defined; it is left alone.",
            action="Give the migrated one another name.",
        )
    if existing.mark.directory != str(directory):
        raise DomainError(
            f"The domain {name} was defined from {existing.mark.directory}, not from {directory}; it is left alone.",
            action="Give this one another name.",
        )


def _check_used(existing: Defined, placed: Sequence[Placed]) -> None:
    """Refuse to take an image away from under an overlay, as external snapshots put one before it."""
    sources = parsed(existing.xml).findall("devices/disk/source")
    used = [Path(source.get("file", "")) for source in sources]
    for disk in placed:
        if disk.target.exists() and disk.target not in used:
            raise DomainError(
                f"The domain {existing.name} does not use {disk.target} as it was given it: its disks are"
                f" {', '.join(map(str, used)) or 'none'}.",
                action="Merge its external snapshots (virsh blockcommit), or take it away by hand"
                " (virsh undefine), and roll back then.",
            )


def _check_networks(request: Request, hypervisor: Hypervisor) -> None:
    for nic in request.nics:
        kind, name = nic.attachment.kind, nic.attachment.name
        active = hypervisor.network_is_active(name) if kind == "network" else True
        if active is False:
            raise DomainError(
                f"{nic.source_network!r} is mapped to the network {name!r}, which is not active: the domain"
                " could not start.",
                action=f"Start it: virsh net-start {name}, and virsh net-autostart {name}.",
            )
        bridge = Path("/sys/class/net", name, "bridge")
        if active is None or (kind == "bridge" and hypervisor.is_local and not bridge.exists()):
            raise DomainError(
                f"{nic.source_network!r} is mapped to the {kind} {name!r}, which does not exist.",
                action="Make it first, or correct the network map.",
            )


def _pool(request: Request, hypervisor: Hypervisor) -> Pool | None:
    if request.placement == IN_PLACE:
        return None
    if not hypervisor.is_local:
        raise DomainError(
            f"libvirt at {hypervisor.uri} is on another host, to which disks can't be moved or copied.",
            action="Leave them in place on storage that both see.",
        )
    return hypervisor.pool(request.pool)


def _placed(
    request: Request,
    document: dict[str, Any],
    output_directory: Path,
    handed_over: Record | None,
    pool: Pool | None,
) -> Sequence[Placed]:
    if handed_over is None:
        disks, boot_index = converted_disks(document, output_directory)
        return placing.planned(disks, boot_index, request, pool)
    asked = (request.name, request.placement, request.pool)
    done = (handed_over.name, handed_over.placement, handed_over.pool)
    if asked != done:
        raise DomainError(
            f"This VM's disks belong to the domain {handed_over.name}"
            f" ({' '.join(filter(None, done[1:]))}), and now {request.name}"
            f" ({' '.join(filter(None, asked[1:]))}) is asked for.",
            action="Roll it back first.",
        )
    return handed_over.disks


def _check_present(placed: Sequence[Placed]) -> None:
    for disk in placed:
        if not disk.target.exists():
            raise DomainError(f"The domain's disk {disk.target} is gone.")


def _apply(
    request: Request,
    placed: Sequence[Placed],
    xml: str,
    hypervisor: Hypervisor,
    *,
    fresh: bool,
    new: bool,
) -> Defined:
    """Place the disks and define the domain; all that was done here is undone when that fails.

    Args:
        request: The domain.
        placed: Its disks.
        xml: Its definition.
        hypervisor: libvirt.
        fresh: Whether the disks were not handed over before.
        new: Whether there was no such domain before.
    """
    # The record is first on the disk: whatever ends this run, a rollback knows what to undo.
    record.save(request.directory, record.of(request, hypervisor.uri, placed))
    try:
        for disk in placed:
            placing.place(disk, request.placement)
        if request.pool:
            hypervisor.refresh(request.pool)
        mark = mark_of(xml) or Mark(str(request.directory), request.fingerprint())
        return hypervisor.define(xml, mark)
    except BaseException:
        if fresh:
            # It is there already when it could not be signed, or the task was stopped just then.
            defined = hypervisor.domain(request.name) if new else None
            if defined is not None:
                hypervisor.undefine(defined)
            for disk in placed:
                placing.take_back(disk, request.placement)
            record.remove(request.directory)
        raise


def _facts(
    request: Request, placed: Sequence[Placed], existing: Defined | None, xml: str
) -> dict[str, Any]:
    return {
        "name": request.name,
        "uuid": request.uuid,
        "virt_type": parsed(xml).get("type", ""),
        "active": existing.active if existing is not None else False,
        "edited": existing.edited if existing is not None else False,
        "disks": placing.as_records(placed),
        "nics": [asdict(nic) for nic in request.nics],
    }
