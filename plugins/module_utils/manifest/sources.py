# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turn what a playbook gives into what is known of a VM: the one door to all sources of disks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .arguments import settings_of
from .disk_list import read_disks
from .export_result import read_export
from .findings import ManifestError
from .ovf_package import Package, read_package
from .state import Request


def package_from(
    params: Mapping[str, Any], manifest_path: Path, *, check_mode: bool
) -> Package | None:
    """Return what export, ovf or disks describe, or None when none of them is given.

    Raises:
        ManifestError: What is given can't be read.
    """
    provider = (params.get("source") or {}).get("provider") or ""
    if params.get("export") is not None:
        return Package(read_export(params["export"], check_mode=check_mode))
    if params.get("ovf") is not None:
        directory = params.get("ovf_directory")
        return read_package(
            Path(os.path.abspath(params["ovf"])),
            unpack_to=Path(os.path.abspath(directory)) if directory else None,
            provider=provider,
            check_mode=check_mode,
        )
    if params.get("disks") is not None:
        return Package(
            read_disks(params["disks"], directory=manifest_path.parent, provider=provider)
        )
    return None


def request_from(params: Mapping[str, Any], path: Path, *, check_mode: bool) -> Request:
    """Return what a module's parameters ask for.

    Raises:
        ManifestError: They contradict each other, or what they name can't be read.
    """
    settings = settings_of(params)
    wanted, format_of_output = params.get("target_format"), settings.get("output", {}).get("format")
    if wanted and format_of_output and wanted != format_of_output:
        raise ManifestError(
            f"target_format is {wanted}, and output.format is {format_of_output}.",
            action="Give only one of them.",
        )
    if wanted:
        settings["output"] = {**settings.get("output", {}), "format": wanted}
    absent = params.get("state") == "absent"
    package = None if absent else package_from(params, path, check_mode=check_mode)
    if params.get("boot_disk") and not absent and package is None:
        raise ManifestError(
            "boot_disk is given without export, ovf or disks, whose disk it would name.",
            action="Give one of them, so that the disks are described anew.",
        )
    return Request(
        path=path,
        artifacts=package.artifacts if package else None,
        unpacked=package is not None and package.unpacked,
        settings=settings,
        merge=params["merge"],
        checksum=params["checksum"],
        boot_disk=params.get("boot_disk") or "",
        backup=params["backup"],
        check_mode=check_mode,
    )
