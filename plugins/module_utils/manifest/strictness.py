# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where this collection refuses a manifest that hyper2kvm 0.2.1's loader accepts, and why.

The one table of deliberate differences. A test loads generated manifests with
both: whatever hyper2kvm accepts and we refuse must be in it, each row's example
must be such a manifest, and what we accept hyper2kvm must accept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .findings import Finding


@dataclass(frozen=True)
class Difference:
    """One deliberate difference.

    Attributes:
        what: What is refused.
        why: What hyper2kvm would do with it.
        place: Regular expression of the findings' places.
        message: Regular expression that the findings' messages hold.
        example: A place in the contract's example with two disks, and the value
            put there that makes such a manifest; "-" removes the field.
    """

    what: str
    why: str
    place: str
    message: str
    example: tuple[str, Any]

    def covers(self, finding: Finding) -> bool:
        """Whether a finding is a case of it."""
        return bool(
            re.search(self.place, finding.path) and re.search(self.message, finding.message)
        )


_DISK = r"^disks\[\d+\]\."
_UNCHECKED = (
    r"^(source|nics|pipeline|configuration|output|options|hooks|libvirt_integration|metadata|notes|warnings"
    r"|profile_overrides|profiles_directory|profile)([.\[]|$)"
)

DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "Several disks without boot_order_hint",
        "It takes 999 for each that is missing. hypersdk's Go type leaves 0 out, so of its manifests the "
        "data disk with 1 would be fixed instead of the boot disk.",
        _DISK + "boot_order_hint$",
        "is missing",
        ("disks[1].boot_order_hint", "-"),
    ),
    Difference(
        "Two disks with the same lowest boot_order_hint",
        "It takes whichever comes first in the file.",
        _DISK + "boot_order_hint$",
        "same lowest",
        ("disks[1].boot_order_hint", 0),
    ),
    Difference(
        "A disk_type of boot that is not the lowest boot_order_hint",
        "It never looks at disk_type, and fixes another disk than the manifest calls the boot disk.",
        _DISK + "disk_type$",
        "fix the wrong disk",
        ("disks[0].boot_order_hint", 7),
    ),
    Difference(
        "No pipeline, and no profile that could bring one",
        "It exits 0 with success and converts nothing.",
        "^pipeline$",
        "is missing",
        ("pipeline", "-"),
    ),
    Difference(
        "A local_path that is not absolute",
        "It takes it from its own working directory, wherever it was started.",
        _DISK + "local_path$",
        "not an absolute path",
        ("disks[0].local_path", "."),
    ),
    Difference(
        "One file for two disks",
        "It converts it twice and says nothing.",
        _DISK + "local_path$",
        "the same as that of",
        ("disks[1].local_path", "/"),
    ),
    Difference(
        "true or false for a number",
        "In Python true is the integer 1.",
        _DISK + r"(bytes|boot_order_hint)$|^vm\.(cpu|mem_gb)$",
        "is (true|false), which is not a whole number",
        ("vm.cpu", True),
    ),
    Difference(
        "A newline at the end of an id or a checksum",
        "Python's $ matches before it; the converted image's name then holds a newline.",
        _DISK + "(id|checksum)$",
        r"\\n",
        ("disks[0].id", "disk-0\n"),
    ),
    Difference(
        "A label that is no string, and fields of disks, vm and the document that don't exist",
        "It ignores them: a misspelt field is one that was never written.",
        r"^(disks\[\d+\]|vm)\.|^[^.\[]+$",
        "is not a field of|label is .* not a string",
        ("disks[0].chekcsum", "sha256:0"),
    ),
    Difference(
        "Values in vm that it doesn't check, and this collection's own fields",
        "It passes os_hint and os_version on as they are; memory_mb, capacity, controller and unit_number it ignores.",
        r"^vm\.(os_hint|os_version|memory_mb)$|" + _DISK + "(capacity|controller|unit_number)$",
        "",
        ("vm.os_hint", "Linux"),
    ),
    Difference(
        "Wrong values, types and fields in the sections that it doesn't check",
        "It checks disks and vm alone. A null section ends it with a traceback at its first use, a wrong "
        "value is taken for the default, and what its injectors can't use they skip with a line in the log.",
        _UNCHECKED,
        "",
        ("output.format", "vmdk"),
    ),
)


@dataclass(frozen=True)
class FileDifference:
    """One deliberate difference about the files, which artifact_manifest_info refuses.

    Attributes:
        what: What is refused.
        why: What hyper2kvm would do with it.
        place: Regular expression of the findings' places.
    """

    what: str
    why: str
    place: str


FILE_DIFFERENCES: tuple[FileDifference, ...] = (
    FileDifference(
        "bytes that are not the size of the file",
        "It notes a warning in INSPECT, and converts the file as it is.",
        _DISK + "bytes$",
    ),
    FileDifference(
        "A source_format that the file's content contradicts",
        "It never looks at it again, and converts what qemu-img takes the file for: a fixed VHD for a raw disk that "
        "its footer belongs to.",
        _DISK + "source_format$",
    ),
    FileDifference(
        "A local_path that is no regular file",
        "It checks that there is something.",
        _DISK + "local_path$",
    ),
    FileDifference(
        "A disk that needs another file, or that ends early",
        "It hands it to qemu-img, which may follow it to any file of the host, or fail in the middle.",
        _DISK + "local_path$",
    ),
    FileDifference(
        "A .mf or an .ovf beside the disks that says something else",
        "It reads neither.",
        _DISK + "(checksum|local_path|bytes|capacity)$|^$",
    ),
)


def unlisted(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that no deliberate difference covers."""
    return [
        finding
        for finding in findings
        if not any(difference.covers(finding) for difference in DIFFERENCES)
    ]
