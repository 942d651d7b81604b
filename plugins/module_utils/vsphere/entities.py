# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the hosts, networks and folders of VMs are called: read for many VMs at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .inventory import retrieve, unescape

try:
    from pyVmomi import vim, vmodl
except ImportError:
    pass  # connection.py tells

_UP, _OUT_OF_VAPP = "up", "out of a vApp"


class Entities:
    """Managed entities with their names and places.

    Args:
        found: The properties of each, by its managed object ID.
    """

    def __init__(self, found: Mapping[str, Mapping[str, Any]]) -> None:
        self._found = found

    def name_of(self, entity: Any) -> str:
        """Return an entity's name, "" where it is none, or the account may not see it."""
        properties = self._found.get(entity._moId, {}) if entity is not None else {}
        return unescape(str(properties.get("name") or ""))

    def place_of(self, properties: Mapping[str, Any]) -> tuple[str, str]:
        """Return a VM's datacenter and its folder's path below the VM folder, "/" at the top.

        Args:
            properties: Of the VM, with parent and parentVApp.
        """
        names: list[str] = []
        parent = parent_of(properties)
        while parent is not None and parent._moId in self._found:
            if isinstance(parent, vim.Datacenter):
                # The last one collected is the datacenter's own VM folder.
                return self.name_of(parent), "/" + "/".join(reversed(names[:-1]))
            names.append(self.name_of(parent))
            parent = parent_of(self._found[parent._moId])
        return "", "/" + "/".join(reversed(names))


def parent_of(properties: Mapping[str, Any]) -> Any:
    """Return what an entity is in; a vApp is in a folder too, not only in its resource pool."""
    above = ("parentVApp", "parentFolder", "parent")
    return next((properties[key] for key in above if properties.get(key) is not None), None)


def read_entities(instance: Any, entities: Iterable[Any]) -> Entities:
    """Read what hosts, networks and folders are called, and what folders and vApps are in.

    However many there are, and however deep, it is one query.
    """
    collector = vmodl.query.PropertyCollector
    further = [collector.SelectionSpec(name=name) for name in (_UP, _OUT_OF_VAPP)]
    upwards = [
        collector.TraversalSpec(
            name=name, type=kind, path=path, skip=False, selectSet=list(further)
        )
        for name, kind, path in (
            (_UP, vim.ManagedEntity, "parent"),
            (_OUT_OF_VAPP, vim.VirtualApp, "parentFolder"),
        )
    ]
    objects = [
        collector.ObjectSpec(
            obj=entity,
            selectSet=upwards if isinstance(entity, (vim.Folder, vim.VirtualApp)) else [],
        )
        for entity in {entity._moId: entity for entity in entities}.values()
    ]
    if not objects:
        return Entities({})
    spec = collector.FilterSpec(
        objectSet=objects,
        propSet=[
            collector.PropertySpec(type=kind, pathSet=paths)
            for kind, paths in (
                (vim.Folder, ["name", "parent"]),
                (vim.Datacenter, ["name", "parent"]),
                (vim.VirtualApp, ["name", "parent", "parentFolder"]),
                (vim.HostSystem, ["name"]),
                (vim.dvs.DistributedVirtualPortgroup, ["name"]),
            )
        ],
        # A port group that is gone, and still named by a NIC.
        reportMissingObjectsInResults=True,
    )
    return Entities({entity._moId: found for entity, found in retrieve(instance, spec)})
