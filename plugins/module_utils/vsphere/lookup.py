# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the one VM, or all VMs, that the user means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

from .entities import parent_of, read_entities
from .errors import VSphereError
from .inventory import read_all, read_each, unescape

try:
    from pyVmomi import vim
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

    def search(self) -> Search:
        """Return the search for it: by the first of moid, uuid and name that is given."""
        return Search(
            names=() if self.moid or self.uuid else (self.name or "",),
            uuids=(self.uuid,) if self.uuid and not self.moid else (),
            use_instance_uuid=self.use_instance_uuid,
            moids=(self.moid,) if self.moid else (),
            folder=self.folder,
            datacenter=self.datacenter,
        )

    def __str__(self) -> str:
        if self.moid:
            return f"VM {self.moid}"
        if self.uuid:
            return (
                f"VM with the {'instance' if self.use_instance_uuid else 'BIOS'} UUID {self.uuid}"
            )
        return f"VM {self.name!r}"


@dataclass(frozen=True)
class Search:
    """Which VMs the user means.

    Attributes:
        names: Names, or with patterns shell patterns too.
        uuids: BIOS UUIDs, or instance UUIDs with use_instance_uuid.
        use_instance_uuid: Which of the two they are.
        moids: Managed object IDs. A VM is meant that any name, UUID or ID fits; without these, all.
        folder: The path of the folder that it must be in.
        datacenter: The name of the datacenter that it must be in.
        recurse: Whether folders below the folder count.
        patterns: Whether names are patterns.
    """

    names: tuple[str, ...] = ()
    uuids: tuple[str, ...] = ()
    use_instance_uuid: bool = False
    moids: tuple[str, ...] = ()
    folder: str | None = None
    datacenter: str | None = None
    recurse: bool = False
    patterns: bool = False

    @property
    def uuid_path(self) -> str:
        """Return the property that a UUID is looked for in."""
        return "config.instanceUuid" if self.use_instance_uuid else "config.uuid"

    def fits_name(self, name: str, wanted: str) -> bool:
        """Tell whether a name is one that is wanted."""
        return name == wanted or (self.patterns and fnmatchcase(name, wanted))

    def fits(self, properties: Mapping[str, Any]) -> bool:
        """Tell whether a VM has a name or UUID that is wanted, or none is."""
        if not self.names and not self.uuids:
            return not self.moids
        name = unescape(properties.get("name", ""))
        if any(self.fits_name(name, wanted) for wanted in self.names):
            return True
        return properties.get(self.uuid_path) in [canonical(wanted) for wanted in self.uuids]

    def fits_place(self, datacenter: str, folder: str) -> bool:
        """Tell whether a VM is where it must be."""
        if self.datacenter and datacenter != self.datacenter:
            return False
        wanted = "/" + (self.folder or "").strip("/")
        below = wanted.rstrip("/") + "/"
        return not self.folder or folder == wanted or (self.recurse and folder.startswith(below))


def find_vm(instance: Any, selection: Selection) -> Any:
    """Return the vim.VirtualMachine, a template too.

    Raises:
        VSphereError: There is none, or there are several: they are then listed.
    """
    found = find_vms(instance, selection.search())
    if not found:
        raise VSphereError(
            f"There is no {selection}{_place(selection)}.",
            action="Check the name, and that the account may see it.",
        )
    if len(found) > 1:
        candidates = _candidates(instance, found)
        listed = ", ".join(f"{candidate['path']} ({candidate['moid']})" for candidate in candidates)
        raise VSphereError(
            f"{selection} is ambiguous{_place(selection)}: {listed}.",
            action="Name one with moid, or with datacenter and folder.",
            candidates=candidates,
        )
    return found[0]


def find_vms(instance: Any, search: Search) -> list[Any]:
    """Return each vim.VirtualMachine that is meant, templates too.

    However many there are, it takes a few queries. Of VMs that are not meant no more is read than
    what tells them apart.

    Raises:
        VSphereError: There is no such datacenter.
    """
    datacenter = _find_datacenter(instance, search.datacenter)
    found: dict[str, tuple[Any, dict[str, Any]]] = {}
    known = _known_by_id(instance, datacenter, search)
    found.update({vm._moId: (vm, told) for vm, told in read_each(instance, known, _PLACE)})
    if not _is_found_by_id(search):
        paths = [*_PLACE, search.uuid_path] if search.uuids else _PLACE
        root = datacenter or instance.content.rootFolder
        for vm, told in read_all(instance, root, vim.VirtualMachine, paths):
            if search.fits(told):
                found[vm._moId] = vm, told
    if search.folder or (search.datacenter and known):
        parents = [parent_of(told) for _vm, told in found.values()]
        around = read_entities(instance, filter(None, parents))
        found = {
            moid: (vm, told)
            for moid, (vm, told) in found.items()
            if search.fits_place(*around.place_of(told))
        }
    return [vm for vm, _told in found.values()]


def canonical(uuid: str) -> str:
    """Return a UUID as vCenter writes it, and what is none as it is."""
    try:
        return str(UUID(uuid))
    except ValueError:
        return uuid


_PLACE = ["name", "parent", "parentVApp"]


def _is_found_by_id(search: Search) -> bool:
    """Tell whether vCenter finds what is meant without a look at every VM."""
    return not search.names and len(search.uuids) < 2 and bool(search.uuids or search.moids)


def _known_by_id(instance: Any, datacenter: Any, search: Search) -> list[Any]:
    known = [vim.VirtualMachine(moid, instance._stub) for moid in search.moids]
    if search.uuids and _is_found_by_id(search):
        known += instance.content.searchIndex.FindAllByUuid(
            datacenter, canonical(search.uuids[0]), True, search.use_instance_uuid
        )
    return known


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


def _place(selection: Selection) -> str:
    datacenter = f" in datacenter {selection.datacenter!r}" if selection.datacenter else ""
    folder = f" in folder {selection.folder!r}" if selection.folder else ""
    return datacenter + folder


def _candidates(instance: Any, vms: Sequence[Any]) -> list[dict[str, str]]:
    told = list(read_each(instance, vms, _PLACE))
    parents = [parent_of(properties) for _vm, properties in told]
    around = read_entities(instance, filter(None, parents))
    candidates = []
    for vm, properties in told:
        datacenter, folder = around.place_of(properties)
        name = unescape(properties.get("name", ""))
        path = "/".join(part for part in (datacenter, folder.strip("/"), name) if part)
        candidates.append({"moid": vm._moId, "path": f"/{path}"})
    return candidates
