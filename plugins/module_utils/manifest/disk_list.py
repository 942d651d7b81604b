# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a plain list of disks, exported by whatever means."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .findings import ManifestError
from .images import identify
from .model import Artifacts, Disk, Machine


def read_disks(
    entries: Sequence[Mapping[str, Any]], *, directory: Path, provider: str = ""
) -> Artifacts:
    """Return what a list of disks and their files' headers say.

    Args:
        entries: The disks, each as artifact_manifest's option disks has it.
        directory: Directory of the VM.
        provider: Where the disks came from, or "" for local.

    Raises:
        ManifestError: The list is empty, a file is missing, or is not what it is said to be.
    """
    if not entries:
        raise ManifestError(
            "disks is empty: there is no disk to write a manifest for.",
            action="Name the disks' files.",
        )
    disks = [_disk(index, entry) for index, entry in enumerate(entries)]
    provider = provider or "local"
    return Artifacts(
        provider=provider,
        export_method="copy",
        export_format="disks",
        directory=directory,
        machine=Machine(),
        disks=tuple(disks),
    )


def _disk(index: int, entry: Mapping[str, Any]) -> Disk:
    path = Path(os.path.abspath(entry["path"]))
    image = identify(path)
    wanted = entry.get("source_format")
    if wanted and wanted != image.source_format:
        raise ManifestError(
            f"disks[{index}].source_format is {wanted}, and {path} is {image.source_format} by its content.",
            action="Leave source_format out to take what the file is.",
        )
    if image.refers_to:
        raise ManifestError(
            f"The disk {path} is not whole by itself: it needs {', '.join(image.refers_to)}.",
            action="Convert it to one file with qemu-img first.",
        )
    return Disk(
        path=path,
        size=image.size,
        source_format=image.source_format,
        id=entry.get("id") or "",
        capacity=image.capacity,
        checksum=entry.get("checksum") or None,
        boot_order=entry.get("boot_order_hint"),
        label=entry.get("label") or "",
        controller=entry.get("controller") or "",
        unit_number=entry.get("unit_number"),
    )
