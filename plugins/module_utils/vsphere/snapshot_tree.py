# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The snapshots that a VM has, as vCenter's property "snapshot" tells them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Marks the snapshots of this collection, so that leftovers can be told from the user's own.
OWN_NAME = "hypersdk-hyper2kvm-export"


@dataclass(frozen=True)
class Snapshot:
    """A snapshot.

    Attributes:
        name: Its name; several may have the same.
        moid: Its managed object ID.
        created: When it was made, as ISO 8601 writes it.
        parent: The managed object ID of the one that it was made after, "" for the first.
    """

    name: str
    moid: str
    created: str
    parent: str


def snapshots_of(info: Any) -> tuple[Snapshot, ...]:
    """Return all snapshots of a VM, each after the one that it was made after."""
    return tuple(
        Snapshot(
            name=tree.name,
            moid=tree.snapshot._moId,
            created=tree.createTime.isoformat() if tree.createTime is not None else "",
            parent=parent,
        )
        for tree, parent in _walk(info)
    )


def named(info: Any, name: str) -> list[Any]:
    """Return every vim.vm.Snapshot of a name."""
    return [tree.snapshot for tree, _parent in _walk(info) if tree.name == name]


def _walk(info: Any) -> Iterator[tuple[Any, str]]:
    waiting = [(tree, "") for tree in info.rootSnapshotList or ()] if info is not None else []
    while waiting:
        tree, parent = waiting.pop(0)
        yield tree, parent
        waiting[:0] = [(child, tree.snapshot._moId) for child in tree.childSnapshotList or ()]
