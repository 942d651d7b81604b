# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""export.json: what was exported, of which VM in which state, so that a re-run can compare."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..atomic import write_text
from ..vsphere.facts import Vm
from ..vsphere.guest_network import GuestNetwork

FILE_NAME = "export.json"
_FORM = 1


@dataclass(frozen=True)
class ExportedFile:
    """A file of the export, by its name in the directory; size in bytes."""

    name: str
    kind: str
    """descriptor, manifest, disk, nvram, cdrom, or ova."""
    size: int
    checksum: str
    device_key: int | None = None
    """The key of the disk's device in the VM."""


@dataclass(frozen=True)
class Record:
    """An export, complete or as far as it came.

    Attributes:
        identity: The VM and its state, as identity_of() tells.
        checksum_algorithm: Of the files' digests.
        complete: Whether every file is there.
        duration: Seconds it took.
        bytes_transferred: What was received.
        files: The files that are in place.
        extras: The kinds of files that were asked for beside the disks.
        members: What is inside an OVA among them, in its order.
        guest_networks: What the guest had on its NICs before it was shut down, by their MAC
            addresses, as GuestNetwork.as_dict() has it: a VM that is off tells nothing more.
    """

    identity: dict[str, Any]
    checksum_algorithm: str
    complete: bool
    duration: float
    bytes_transferred: int
    files: tuple[ExportedFile, ...]
    extras: tuple[str, ...]
    members: tuple[ExportedFile, ...] = ()
    guest_networks: dict[str, dict[str, Any]] = field(default_factory=dict)

    def is_of(self, identity: Mapping[str, Any], checksum_algorithm: str) -> bool:
        """Tell whether its files are those of this VM in this state, with these digests."""
        return self.checksum_algorithm == checksum_algorithm and same_state(self.identity, identity)

    def seen_networks(self) -> dict[str, GuestNetwork]:
        """Return guest_networks as they were read."""
        return {mac: GuestNetwork.from_dict(values) for mac, values in self.guest_networks.items()}


def identity_of(vm: Vm, vcenter_uuid: str) -> dict[str, Any]:
    """Return what must be the same for an export to be that of this VM, unchanged.

    A disk's contentId changes with what is written to the disk, changeVersion with the VM's
    configuration.
    """
    return {
        "vcenter": vcenter_uuid,
        "moid": vm.moid,
        "instance_uuid": vm.instance_uuid,
        "change_version": vm.change_version,
        "disks": [
            {
                "key": disk.key,
                "capacity": disk.capacity,
                "file": disk.file,
                "content_id": disk.content_id,
            }
            for disk in vm.disks
        ],
    }


def same_state(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Tell whether two identities are of one VM whose disks hold the same; False in doubt.

    vSphere leaves contentId out where it has none: then nobody knows what was written in between,
    except to the disks of a snapshot, which nobody writes.
    """
    known = now.get("snapshot") or all(disk["content_id"] for disk in now["disks"])
    return bool(known and before == now)


def read_record(directory: Path) -> Record | None:
    """Return the record in a directory, or None where there is none that can be read."""
    try:
        data = json.loads((directory / FILE_NAME).read_text(encoding="utf-8"))
        if data.pop("form") != _FORM:
            return None
        for group in ("files", "members"):
            data[group] = tuple(ExportedFile(**entry) for entry in data[group])
        data["extras"] = tuple(data["extras"])
        record = Record(**data)
        record.seen_networks()
        return record
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


def is_intact(directory: Path, file: ExportedFile) -> bool:
    """Tell whether a file is there with its size; it is not read."""
    try:
        status = (directory / file.name).lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size == file.size
