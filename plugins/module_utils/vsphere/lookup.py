# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the one VM that the user means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import VSphereError
from .inventory import path_of, read, read_all, unescape

try:
    from pyVmomi import vim, vmodl
except ImportError:
    pass  # connection.py tells


@dataclass(frozen=True)
class Selection:
    """How the user names a VM: by moid, or uuid, or name."""

    name: str | None = None
    uuid: str | None = None
    use_instance_uuid: bool = False
    moid: str | None = None
    folder: str | None = None
    datacenter: str | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Selection:
        """Take a module's options."""
        return cls(**{name: options[name] for name in cls.__dataclass_fields__})

    def __str__(self) -> str:
        if self.moid:
            return f"VM {self.moid}"
        if self.uuid:
            return (
                f"VM with the {'instance' if self.use_instance_uuid else 'BIOS'} UUID {self.uuid}"
            )
        return f"VM {self.name!r}"


def find_vm(instance: Any, selection: Selection) -> Any:
    """Return the vim.VirtualMachine, a template too.

    Raises:
        VSphereError: There is none, or there are several: they are then listed.
    """
    datacenter = _find_datacenter(instance, selection.datacenter)
    if selection.moid:
        found = _by_moid(instance, selection.moid)
    elif selection.uuid:
        found = instance.content.searchIndex.FindAllByUuid(
            datacenter, selection.uuid, True, selection.use_instance_uuid
        )
    else:
        root = datacenter or instance.content.rootFolder
        found = [
            vm
            for vm, properties in read_all(instance, root, vim.VirtualMachine, ["name"])
            if unescape(properties.get("name", "")) == selection.name
        ]
    if selection.folder:
        wanted = "/" + selection.folder.strip("/")
        found = [vm for vm in found if path_of(instance, vm)[1] == wanted]
    if not found:
        raise VSphereError(
            f"There is no {selection}{_place(selection)}.",
            action="Check the name, and that the account may see it.",
        )
    if len(found) > 1:
        candidates = [_candidate(instance, vm) for vm in found]
        listed = ", ".join(f"{candidate['path']} ({candidate['moid']})" for candidate in candidates)
        raise VSphereError(
            f"{selection} is ambiguous{_place(selection)}: {listed}.",
            action="Name one with moid, or with datacenter and folder.",
            candidates=candidates,
        )
    return found[0]


def _find_datacenter(instance: Any, name: str | None) -> Any:
    if not name:
        return None
    root = instance.content.rootFolder
    names = {}
    for datacenter, properties in read_all(instance, root, vim.Datacenter, ["name"]):
        names[unescape(properties["name"])] = datacenter
    if name not in names:
        raise VSphereError(
            f"There is no datacenter {name!r}; there are: {', '.join(sorted(names)) or 'none'}."
        )
    return names[name]


def _by_moid(instance: Any, moid: str) -> list[Any]:
    vm = vim.VirtualMachine(moid, instance._stub)
    try:
        read(instance, vm, ["name"])
    except vmodl.fault.ManagedObjectNotFound:
        return []
    return [vm]


def _place(selection: Selection) -> str:
    datacenter = f" in datacenter {selection.datacenter!r}" if selection.datacenter else ""
    folder = f" in folder {selection.folder!r}" if selection.folder else ""
    return datacenter + folder


def _candidate(instance: Any, vm: Any) -> dict[str, str]:
    datacenter, folder = path_of(instance, vm)
    name = unescape(read(instance, vm, ["name"]).get("name", ""))
    path = "/".join(part for part in (datacenter, folder.strip("/"), name) if part)
    return {"moid": vm._moId, "path": f"/{path}"}
