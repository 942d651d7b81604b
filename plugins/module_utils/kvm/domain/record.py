# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""domain.json in a VM's directory: its disks belong to a domain now, and how that is undone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...atomic import write_text
from .errors import DomainError
from .placing import Placed, as_records
from .request import Request

FILE_NAME = "domain.json"
_VERSION = 1


@dataclass(frozen=True)
class Record:
    """What was handed over, and where.

    Attributes:
        name: The domain's name.
        uuid: The domain's UUID.
        uri: libvirt's.
        placement: in_place, move or copy.
        pool: The storage pool, empty for in_place.
        disks: Each disk's way.
    """

    name: str
    uuid: str
    uri: str
    placement: str
    pool: str
    disks: tuple[Placed, ...]


def of(request: Request, uri: str, placed: Sequence[Placed]) -> Record:
    """Return the record of a request."""
    return Record(request.name, request.uuid, uri, request.placement, request.pool, tuple(placed))


def load(directory: Path) -> Record | None:
    """Return the record in a VM's directory, None when its disks are not handed over.

    Raises:
        DomainError: It can't be read. Guessing would be somebody's disk.
    """
    path = directory / FILE_NAME
    try:
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if known["version"] != _VERSION:
            raise ValueError(f"it has version {known['version']}")
        return Record(
            name=known["name"],
            uuid=known["uuid"],
            uri=known["uri"],
            placement=known["placement"],
            pool=known["pool"],
            disks=tuple(
                Placed(
                    disk["id"],
                    Path(disk["source"]),
                    Path(disk["path"]),
                    disk["format"],
                    disk["boots"],
                )
                for disk in known["disks"]
            ),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DomainError(
            f"{path} can't be read: {error}.",
            action="It says which domain has this VM's disks: look with virsh, and put it right.",
        ) from error


def save(directory: Path, record: Record) -> None:
    """Write the record, whole or not at all."""
    known = {
        "version": _VERSION,
        "name": record.name,
        "uuid": record.uuid,
        "uri": record.uri,
        "placement": record.placement,
        "pool": record.pool,
        "disks": as_records(record.disks),
    }
    write_text(directory / FILE_NAME, json.dumps(known, indent=2) + "\n")


def remove(directory: Path) -> None:
    """Forget that the disks were handed over."""
    (directory / FILE_NAME).unlink(missing_ok=True)
