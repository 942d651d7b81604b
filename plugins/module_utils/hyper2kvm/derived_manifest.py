# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The manifest that hyper2kvm gets: the user's, pointed at the working copies."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from .errors import ConversionError
from .working_copies import WorkingCopy

STAGES = ("inspect", "fix", "convert", "validate")


def enabled_stages(document: dict[str, Any], chosen: Collection[str] | None) -> tuple[str, ...]:
    """Return the stages to run, in hyper2kvm's order.

    Args:
        document: The user's manifest.
        chosen: Stages that the user named; None takes those that the manifest enables.

    Raises:
        ConversionError: None is left: hyper2kvm would exit 0 and convert nothing.
    """
    if chosen is not None:
        stages = tuple(stage for stage in STAGES if stage in chosen)
    else:
        pipeline = document.get("pipeline", {})
        stages = tuple(stage for stage in STAGES if pipeline.get(stage, {}).get("enabled", False))
    if not stages:
        raise ConversionError(
            "The manifest's pipeline enables no stage, so hyper2kvm would convert nothing.",
            action="Enable them in the manifest, or name them as stages.",
        )
    return stages


def derive(
    document: dict[str, Any],
    copies: Sequence[WorkingCopy],
    *,
    stages: Collection[str],
    output_directory: Path,
    target_format: str,
    compress: bool,
    report_path: Path,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Return the manifest of one run of hyper2kvm.

    Args:
        document: The user's manifest; not changed.
        copies: The disks of this run.
        stages: The stages of this run; all others are disabled, whatever a profile says.
        output_directory: Where the converted disks go.
        target_format: qcow2, raw or vdi.
        compress: Whether a qcow2 is compressed.
        report_path: Where its report goes.
        dry_run: Whether FIX only says what it would change.
    """
    derived = copy.deepcopy(document)
    entries = {entry["id"]: entry for entry in derived["disks"]}
    derived["disks"] = [_disk_entry(entries[copied.disk.id], copied) for copied in copies]
    pipeline = derived.setdefault("pipeline", {})
    for stage in STAGES:
        pipeline.setdefault(stage, {})["enabled"] = stage in stages
    pipeline["convert"]["compress"] = compress
    # Passed on to qemu-img as an option that no qcow2 has: it fails three times, and hyper2kvm
    # then compresses with zlib in zstd's stead.
    pipeline["convert"].pop("compress_level", None)
    derived["output"] = {
        **derived.get("output", {}),
        "directory": str(output_directory),
        "format": target_format,
    }
    options = derived.setdefault("options", {})
    options["report"] = {"enabled": True, "path": str(report_path)}
    options["dry_run"] = dry_run
    # It needs a domain.xml that this pipeline never writes, and a libvirt that the sandbox hides.
    derived.pop("libvirt_integration", None)
    return derived


def _disk_entry(entry: dict[str, Any], copied: WorkingCopy) -> dict[str, Any]:
    # The checksum is the exported file's; hyper2kvm would hold it against the copy.
    kept = {key: value for key, value in entry.items() if key != "checksum"}
    return {
        **kept,
        "source_format": "raw",
        "bytes": copied.path.stat().st_size,
        "local_path": str(copied.path),
        "boot_order_hint": copied.disk.boot_order,
    }
