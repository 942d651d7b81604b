# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Thin wrappers of vSphere's PropertyCollector: several properties, or many objects, in one call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

try:
    from pyVmomi import vim, vmodl
except ImportError:
    pass  # connection.py tells

# Objects in one answer; vCenter pages the rest.
_PAGE = 1000


def read(instance: Any, managed_object: Any, paths: Sequence[str]) -> dict[str, Any]:
    """Return properties of one object by their paths; those that are unset are left out."""
    collector = vmodl.query.PropertyCollector
    spec = collector.FilterSpec(
        objectSet=[collector.ObjectSpec(obj=managed_object)],
        propSet=[collector.PropertySpec(type=type(managed_object), pathSet=list(paths))],
    )
    contents = instance.content.propertyCollector.RetrieveContents([spec])
    return {prop.name: prop.val for content in contents for prop in content.propSet}


def read_each(
    instance: Any, managed_objects: Sequence[Any], paths: Sequence[str]
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield objects of one kind, each with its properties; those that are gone are left out."""
    if not managed_objects:
        return
    collector = vmodl.query.PropertyCollector
    spec = collector.FilterSpec(
        objectSet=[collector.ObjectSpec(obj=each) for each in managed_objects],
        propSet=[collector.PropertySpec(type=type(managed_objects[0]), pathSet=list(paths))],
        reportMissingObjectsInResults=True,
    )
    for managed_object, properties in retrieve(instance, spec):
        if properties:
            yield managed_object, properties


def read_all(
    instance: Any, root: Any, kind: type[Any], paths: Sequence[str]
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield each object of a kind below a root, with its properties."""
    collector = vmodl.query.PropertyCollector
    view = instance.content.viewManager.CreateContainerView(root, [kind], True)
    try:
        traversal = collector.TraversalSpec(type=vim.view.ContainerView, path="view", skip=False)
        spec = collector.FilterSpec(
            objectSet=[collector.ObjectSpec(obj=view, skip=True, selectSet=[traversal])],
            propSet=[collector.PropertySpec(type=kind, pathSet=list(paths))],
        )
        yield from retrieve(instance, spec)
    finally:
        with suppress(vmodl.MethodFault):
            view.Destroy()


def retrieve(instance: Any, spec: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield what a FilterSpec selects, each object with its properties by their paths."""
    options = vmodl.query.PropertyCollector.RetrieveOptions(maxObjects=_PAGE)
    service = instance.content.propertyCollector
    page = service.RetrievePropertiesEx([spec], options)
    while page:
        for content in page.objects:
            yield content.obj, {prop.name: prop.val for prop in content.propSet}
        page = service.ContinueRetrievePropertiesEx(page.token) if page.token else None


def unescape(name: str) -> str:
    """Return a name as people write it: vSphere escapes slash, backslash and percent in names."""
    for escaped, plain in (("%2f", "/"), ("%2F", "/"), ("%5c", "\\"), ("%5C", "\\"), ("%25", "%")):
        name = name.replace(escaped, plain)
    return name
