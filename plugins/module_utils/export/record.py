# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""export.json: what was exported, of which VM in which state, so that a re-run can compare."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..atomic import write_text
from ..vsphere.facts import Vm

FILE_NAME = "export.json"
_FORM = 1


@dataclass(frozen=True)
class ExportedFile:
    """A file of the export, by its name in the directory; size in bytes."""

    name: str
    kind: str
    """descriptor, manifest, disk or nvram."""
    size: int
    checksum: str
    device_key: int | None = None
    """The key of the disk's device in the VM."""


@dataclass(frozen=True)
class Record:
    """An export that is complete."""

    identity: dict[str, Any]
    checksum_algorithm: str
    duration: float
    bytes_transferred: int
    files: tuple[ExportedFile, ...]


def identity_of(vm: Vm, vcenter_uuid: str) -> dict[str, Any]:
    """Return what must be the same for an export to be that of this VM, unchanged.

    A disk's contentId changes when the disk is opened for writing, changeVersion with the VM's
    configuration.
    """
    return {
        "vcenter": vcenter_uuid,
        "moid": vm.moid,
        "instance_uuid": vm.instance_uuid,
        "change_version": vm.change_version,
        "disks": [[disk.key, disk.capacity, disk.content_id] for disk in vm.disks],
    }


def read_record(directory: Path) -> Record | None:
    """Return the record in a directory, or None where there is none that can be read."""
    try:
        data = json.loads((directory / FILE_NAME).read_text(encoding="utf-8"))
        if data.pop("form") != _FORM:
            return None
        data["files"] = tuple(ExportedFile(**entry) for entry in data["files"])
        return Record(**data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # A record that is missing or unreadable only costs a new export.
        return None


def write_record(directory: Path, record: Record) -> None:
    """Write the record, atomically.

    Raises:
        OSError: It can't be written.
    """
    text = json.dumps({"form": _FORM, **asdict(record)}, indent=2) + "\n"
    write_text(directory / FILE_NAME, text)


def is_intact(directory: Path, files: Iterable[ExportedFile]) -> bool:
    """Tell whether every file is there with its size; none is read."""
    for file in files:
        try:
            status = (directory / file.name).lstat()
        except OSError:
            return False
        if status.st_size != file.size:
            return False
    return True
