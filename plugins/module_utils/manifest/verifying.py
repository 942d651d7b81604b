# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check a manifest against the files that it names."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checksums import Progress, sha256_files
from .document import read, secrets_of
from .findings import ERROR, Finding, ManifestError, errors_of
from .validating import validate


@dataclass(frozen=True)
class Verdict:
    """What was found out about a manifest.

    Attributes:
        document: The manifest as it stands in the file, None when it is no JSON object.
        findings: Everything that is wrong.
        checksums: What each checked disk has, by the disk's id.
        secrets: What must not be shown of the document.
    """

    document: dict[str, Any] | None
    findings: tuple[Finding, ...]
    checksums: dict[str, str]
    secrets: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether the disks may be converted."""
        return not errors_of(self.findings)


def verify(path: Path, *, checksums: bool, on_progress: Progress | None = None) -> Verdict:
    """Return everything that is wrong with the manifest at path and its files.

    Raises:
        ManifestError: jsonschema is missing.
    """
    try:
        document = read(path)
    except ManifestError as error:
        return Verdict(None, (Finding(ERROR, "", error.message, error.action),), {})
    findings = validate(document)
    if not isinstance(document, dict):
        return Verdict(None, tuple(findings), {})
    readable: list[tuple[int, dict[str, Any]]] = []
    disks = document.get("disks")
    for index, disk in enumerate(disks if isinstance(disks, list) else []):
        if isinstance(disk, dict) and isinstance(disk.get("local_path"), str):
            problem = _file_problem(index, disk)
            if problem is None:
                readable.append((index, disk))
            else:
                findings.append(problem)
                if not problem.path.endswith("local_path"):
                    readable.append((index, disk))
    computed: dict[str, str] = {}
    if checksums:
        computed = _checksums(readable, findings, on_progress)
    return Verdict(document, tuple(findings), computed, tuple(secrets_of(document)))


def _file_problem(index: int, disk: dict[str, Any]) -> Finding | None:
    path = Path(disk["local_path"])
    field = f"disks[{index}].local_path"
    try:
        facts = path.stat()
    except FileNotFoundError:
        return Finding(
            ERROR,
            field,
            f"{field}: the file {path} does not exist.",
            "Export the VM again, or correct the path if the files were moved.",
        )
    except OSError as error:
        return Finding(
            ERROR,
            field,
            f"{field}: the file {path} can't be read: {error.strerror or error}.",
            "Let the user that runs this read it.",
        )
    if not stat.S_ISREG(facts.st_mode):
        return Finding(
            ERROR, field, f"{field}: {path} is not a regular file.", "Name the disk's file."
        )
    if isinstance(disk.get("bytes"), int) and disk["bytes"] != facts.st_size:
        return Finding(
            ERROR,
            f"disks[{index}].bytes",
            f"disks[{index}].bytes is {disk['bytes']}, and the file {path} has {facts.st_size}.",
            "The file was changed or cut off since the export: export the VM again.",
        )
    return None


def _checksums(
    disks: list[tuple[int, dict[str, Any]]], findings: list[Finding], on_progress: Progress | None
) -> dict[str, str]:
    stated = [(index, disk) for index, disk in disks if isinstance(disk.get("checksum"), str)]
    try:
        digests = sha256_files(
            [Path(disk["local_path"]) for _index, disk in stated], on_progress=on_progress
        )
    except ManifestError as error:
        findings.append(
            Finding(
                ERROR,
                "disks",
                error.message,
                error.action or "Let the user that runs this read it.",
            )
        )
        return {}
    computed = {}
    for index, disk in stated:
        digest = digests[Path(disk["local_path"])]
        computed[str(disk.get("id"))] = digest
        if digest != disk["checksum"]:
            findings.append(
                Finding(
                    ERROR,
                    f"disks[{index}].checksum",
                    f"disks[{index}].checksum is {disk['checksum']}, and the file {disk['local_path']} has {digest}.",
                    "The disk was changed or damaged since the export: export the VM again, never convert this file.",
                )
            )
    return computed
