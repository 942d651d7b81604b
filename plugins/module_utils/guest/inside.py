# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program that runs in the sandbox with a guest's disks: one start of libguestfs' appliance.

It gets a request as a JSON file and leaves its answer as another. "read" looks at the exported
disks before anything was done to the guest; "repair" works on the copies that hyper2kvm has
fixed; "show" comes between them for a guest whose root FIX does not find. What it needs to know
of the first, it gets back as it gave it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..atomic import write_text
from ..errors import Hyper2KvmError
from .appliance import (
    Disk,
    System,
    find_system,
    mount_guest,
    read_storage,
    started,
    with_own_name,
)
from .appliance_files import GuestfsFiles
from .boot.examination import Guest
from .layers import layers_of
from .linux import keep_originals, repair_linux
from .repair import ERROR, Finding
from .storage import Storage
from .subvolumes import HiddenRoot, hidden_root, hide, show
from .windows import examine_windows


def main(request_path: str, answer_path: str) -> None:
    """Do what the request says and leave the answer."""
    request: dict[str, Any] = json.loads(Path(request_path).read_text(encoding="utf-8"))
    clock = Clock()
    try:
        answer = _ACTIONS[request["action"]](request, clock)
    except Hyper2KvmError as error:
        answer = {"error": {"message": error.message, "action": error.action}}
    except RuntimeError as error:  # libguestfs' own
        answer = {
            "error": {"message": f"libguestfs can't work on the guest: {error}.", "action": ""}
        }
    answer["seconds"] = clock.seconds
    # A guest's network files hold passwords; its bytes that are no UTF-8 travel as escapes.
    write_text(Path(answer_path), json.dumps(answer, ensure_ascii=True), 0o600)


class Clock:
    """How long each part took, in seconds: lap() ends one, or goes on with one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began = time.monotonic()

    def lap(self, name: str) -> None:
        """Note what went by since the last lap as *name*."""
        now = time.monotonic()
        spent = self.seconds.get(name, 0.0) + now - self._began
        self.seconds[name] = round(spent, 2)
        self._began = now


def _read(request: dict[str, Any], clock: Clock) -> dict[str, Any]:
    with started(_disks(request), writable=()) as handle:
        clock.lap("start")
        storage = read_storage(handle)
        system = find_system(handle, storage)
        clock.lap("inspect")
        if not system.type:
            encrypted = [one.name for one in storage.volumes if one.type == "crypto_LUKS"]
            return {
                "system": asdict(system),
                "encrypted": encrypted,
                "findings": [asdict(no_system(encrypted))],
            }
        findings, mounted = mount_guest(handle, system, storage, readonly=True)
        answer: dict[str, Any] = {
            "system": asdict(with_own_name(handle, system)),
            "disks": list(layers_of(handle, storage, mounted.values()).disks),
        }
        hidden = hidden_root(handle, system.root, storage)
        if hidden is not None:
            answer["hidden_root"] = asdict(hidden)
        if system.type == "linux":
            answer["originals"] = keep_originals(GuestfsFiles(handle), request)
        answer["findings"] = [asdict(finding) for finding in findings]
        clock.lap("read")
    return answer


def _show(request: dict[str, Any], clock: Clock) -> dict[str, Any]:
    with started(_disks(request), writable=request["writable"]) as handle:
        clock.lap("start")
        show(handle, HiddenRoot.of(request["shown"]), read_storage(handle))
    clock.lap("stop")
    return {}


def _repair(request: dict[str, Any], clock: Clock) -> dict[str, Any]:
    system = System(**request["reading"]["system"])
    readonly = not (request["repair"] or request["guest_network"] == "keep")
    shown = HiddenRoot.of(request["shown"]) if request["shown"] else None
    writable = () if readonly and shown is None else request["writable"]
    with started(_disks(request), writable=writable) as handle:
        clock.lap("start")
        storage = read_storage(handle)
        hidden = [hide(handle, shown, storage)] if shown is not None else []
        originals = request["reading"].get("originals", {})
        findings, mounted = mount_guest(
            handle, system, storage, readonly=readonly, fstab=originals.get("fstab")
        )
        clock.lap("mount")
        if system.type == "windows":
            outcome = examine_windows(handle, clock.lap)
        else:
            guest = Guest(
                files=GuestfsFiles(handle),
                storage=storage,
                root_device=system.root_device,
                mounted=mounted,
                layers=layers_of(
                    handle, storage, [mounted[at] for at in ("/", "/usr") if at in mounted]
                ),
                firmware=request["firmware"],
                architecture=system.architecture or "x86_64",
                original_fstab=originals["fstab"],
            )
            outcome = repair_linux(guest, request, clock.lap)
    clock.lap("stop")
    return {
        "guest": {
            "os": {
                "type": system.type,
                "name": system.name,
                "distribution": system.distribution,
                "version": system.version,
            },
            "root": _root(system, storage),
            **outcome.summary,
        },
        "repaired": [asdict(repair) for repair in (*hidden, *outcome.repaired)],
        "findings": [asdict(finding) for finding in (*findings, *outcome.findings)],
    }


_ACTIONS = {"read": _read, "show": _show, "repair": _repair}


def _disks(request: dict[str, Any]) -> list[Disk]:
    return [Disk(**disk) for disk in request["disks"]]


def _root(system: System, storage: Storage) -> dict[str, str]:
    volume = storage.named(system.root_device)
    return {
        "device": system.root,
        "type": volume.type if volume is not None else "",
        "uuid": volume.uuid if volume is not None else "",
    }


def no_system(encrypted: Sequence[str]) -> Finding:
    """Return what is wrong with disks that no operating system was found on.

    Args:
        encrypted: The names of the volumes that it may be in.
    """
    if encrypted:
        return Finding(
            ERROR,
            "/",
            f"The guest's root can't be looked at, since LUKS encrypts {', '.join(encrypted)}.",
            "Prepare the guest for virtio before the export and convert it without the stage fix.",
        )
    return Finding(
        ERROR,
        "/",
        "No operating system was found on the VM's disks.",
        "Convert disks without one without the stage fix.",
    )
