# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check a manifest against the files that it names: everything that is wrong, in one list."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checksums import Progress
from .disk_checks import ReadableDisk, check_contents, check_disk
from .document import read, secrets_of
from .findings import ERROR, Finding, ManifestError, errors_of
from .package_checks import check_packages, digests_beside
from .validating import validate


@dataclass(frozen=True)
class Verdict:
    """What was found out about a manifest.

    Attributes:
        document: The manifest as it stands in the file, None when it is no JSON object.
        findings: Everything that is wrong.
        checksums: The SHA-256 that was computed of each disk, by the disk's id.
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

    Args:
        path: The manifest's file.
        checksums: Whether to read the disks, for their digests and their structure.
        on_progress: Called while they are read.

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
    disks: list[ReadableDisk] = []
    listed = document.get("disks")
    for index, entry in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(entry, dict) and isinstance(entry.get("local_path"), str):
            disk, problems = check_disk(index, entry)
            findings += problems
            if disk is not None:
                disks.append(disk)
    digests, problems = digests_beside(disks)
    findings += problems
    findings += check_packages(disks)
    findings += _check_run(document)
    computed: dict[str, str] = {}
    if checksums:
        computed, problems = check_contents(disks, digests, on_progress)
        findings += problems
    return Verdict(document, tuple(findings), computed, tuple(secrets_of(document)))


def _check_run(document: dict[str, Any]) -> list[Finding]:
    """What the run needs besides the disks: the profile's file and the hooks' programs."""
    findings = []
    profile, directory = document.get("profile"), document.get("profiles_directory")
    if isinstance(profile, str) and isinstance(directory, str):
        # hyper2kvm 0.2.1 looks for this suffix only.
        file = os.path.join(directory, f"{profile}.yaml")
        if not os.path.isfile(file):
            findings.append(
                Finding(
                    ERROR,
                    "profile",
                    f"profile is {profile}, and the file {file} does not exist.",
                    "Put the profile there, or correct profiles_directory.",
                )
            )
    hooks = document.get("hooks")
    for stage, listed in hooks.items() if isinstance(hooks, dict) else ():
        for index, hook in enumerate(listed if isinstance(listed, list) else []):
            program = hook.get("path") if isinstance(hook, dict) else None
            if isinstance(program, str) and not os.path.isfile(program):
                findings.append(
                    Finding(
                        ERROR,
                        f"hooks.{stage}[{index}].path",
                        f"hooks.{stage}[{index}].path: the program {program} does not exist.",
                        "Put it there, or correct the path.",
                    )
                )
    return findings
