# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write, and if asked verify, the Artifact Manifest of an export, as hyperexport does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..manifest.checksums import progress_shown
from ..manifest.export_result import read_export
from ..manifest.findings import ManifestError, errors_of
from ..manifest.state import Request, make_present
from ..manifest.verifying import verify
from .directory import PROGRESS_FILE
from .request import ExportRequest, ManifestRequest

# hyperexport's name, and what hyper2kvm is pointed at.
FILE_NAME = "artifact-manifest.json"


def manifest_of(
    result: Mapping[str, Any], request: ExportRequest, wanted: ManifestRequest, *, check: bool
) -> tuple[str, bool]:
    """Return the path of an export's manifest, and whether it changed.

    Args:
        result: What the export returns.
        request: Where it is.
        wanted: What the manifest is to hold.
        check: Whether only to say what would be done.

    Raises:
        ManifestError: It can't be written, or what was written doesn't hold.
    """
    path = request.directory / FILE_NAME
    outcome = make_present(
        Request(
            path=path,
            artifacts=read_export(result, check_mode=check),
            settings={"output": {"format": wanted.target_format}},
            checksum=wanted.checksum,
            check_mode=check,
        )
    )
    if wanted.verify and not check:
        with progress_shown(request.directory / PROGRESS_FILE, "verifying") as on_progress:
            verdict = verify(path, checksums=wanted.checksum, on_progress=on_progress)
        if errors_of(verdict.findings):
            raise ManifestError.of(path, verdict.findings)
    return str(path), outcome.changed
