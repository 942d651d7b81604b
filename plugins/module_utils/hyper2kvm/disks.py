# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The disks that a manifest names, in the terms of a conversion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ConversionError

# What hyper2kvm takes when boot_order_hint is left out.
_NO_HINT = 999


@dataclass(frozen=True)
class SourceDisk:
    """One exported disk.

    Attributes:
        id: Its id in the manifest.
        path: The exported file.
        format: Its format: vmdk, qcow2, raw, vhd, vhdx or vdi.
        boot_order: Lowest is the boot disk.
        checksum: Its digest as the manifest has it, "" where it has none.
    """

    id: str
    path: Path
    format: str
    boot_order: int
    checksum: str = ""


def source_disks(document: dict[str, Any], manifest_path: Path) -> tuple[SourceDisk, ...]:
    """Return the manifest's disks in their order; raises ConversionError when one is missing.

    hyper2kvm takes a relative local_path from its working directory; here it is
    taken from the manifest's own, so that a directory can be moved as a whole.
    """
    disks = []
    for index, entry in enumerate(document["disks"]):
        path = (manifest_path.parent / entry["local_path"]).resolve()
        if not path.is_file():
            raise ConversionError(
                f"disks[{index}].local_path of {manifest_path} names {path}, which does not exist.",
                action="Export the VM again, or correct the path.",
                manifest=str(manifest_path),
            )
        hint = entry.get("boot_order_hint", _NO_HINT)
        checksum = entry.get("checksum", "")
        disks.append(SourceDisk(entry["id"], path, entry["source_format"], hint, checksum))
    return tuple(disks)


def boot_disk(disks: tuple[SourceDisk, ...]) -> SourceDisk:
    """Return the disk that FIX works on: hyper2kvm's rule, lowest hint, the first of equals."""
    return min(disks, key=lambda disk: disk.boot_order)
