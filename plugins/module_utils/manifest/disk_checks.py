# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check a disk's file: that it is there, what it is, and that it is whole."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..vmdk.header import VmdkError
from ..vmdk.stream import StreamParser
from .checksums import Progress, read_files
from .digests import Digest
from .findings import ERROR, Finding, ManifestError
from .image_structure import check_structure
from .images import Image, identify

_AGAIN = "The file was changed or cut off since the export: export the VM again."


@dataclass(frozen=True)
class ReadableDisk:
    """A disk of the manifest whose file can be read.

    Attributes:
        index: Its place in disks.
        entry: What the manifest says of it.
        path: Its file.
        size: The file's size in bytes.
        image: What the file is by its header; None when the header is broken.
        whole: Whether the file holds all that its header and tables place in it.
    """

    index: int
    entry: Mapping[str, Any]
    path: Path
    size: int
    image: Image | None
    whole: bool = True

    def field(self, name: str) -> str:
        """Return where a field of it is in the document."""
        return f"disks[{self.index}].{name}"


def check_disk(index: int, entry: Mapping[str, Any]) -> tuple[ReadableDisk | None, list[Finding]]:
    """Return the disk if its file can be read, and what is wrong with it, as far as its tables tell."""
    path = Path(entry["local_path"])
    where = f"disks[{index}].local_path"
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        return None, [
            Finding(
                ERROR,
                where,
                f"{where}: the file {path} does not exist.",
                "Export the VM again, or correct the path if the files were moved.",
            )
        ]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return None, [
            Finding(
                ERROR,
                where,
                f"{where}: the file {path} can't be read: {reason}.",
                "Let the user that runs this read it.",
            )
        ]
    if not stat.S_ISREG(facts.st_mode):
        return None, [
            Finding(
                ERROR, where, f"{where}: {path} is not a regular file.", "Name the disk's file."
            )
        ]
    findings = []
    stated = entry.get("bytes")
    if isinstance(stated, int) and stated != facts.st_size:
        findings.append(
            Finding(
                ERROR,
                f"disks[{index}].bytes",
                f"disks[{index}].bytes is {stated}, and the file {path} has {facts.st_size}.",
                _AGAIN,
            )
        )
    image: Image | None = None
    whole = False
    try:
        image = identify(path)
        check_structure(path, image)
        whole = True
    except ManifestError as error:
        findings.append(Finding(ERROR, where, f"{where}: {error.message}", error.action or _AGAIN))
    disk = ReadableDisk(index, entry, path, facts.st_size, image, whole)
    return disk, findings + (_check_image(disk, image) if image else [])


def _check_image(disk: ReadableDisk, image: Image) -> list[Finding]:
    findings = []
    stated = disk.entry.get("source_format")
    if isinstance(stated, str) and stated != image.source_format:
        findings.append(
            Finding(
                ERROR,
                disk.field("source_format"),
                f"{disk.field('source_format')} is {stated}, and {disk.path} is {image.source_format} by its content.",
                "Write the format that the file has, or export the VM again if it is damaged.",
            )
        )
    capacity = disk.entry.get("capacity")
    if isinstance(capacity, int) and image.capacity is not None and capacity != image.capacity:
        findings.append(
            Finding(
                ERROR,
                disk.field("capacity"),
                f"{disk.field('capacity')} is {capacity}, and {disk.path} holds a disk of {image.capacity} bytes.",
                "It is not this VM's disk as it was exported: export the VM again.",
            )
        )
    if image.refers_to:
        findings.append(
            Finding(
                ERROR,
                disk.field("local_path"),
                f"{disk.field('local_path')}: {disk.path} is not whole by itself, "
                f"it needs {', '.join(image.refers_to)}.",
                "Convert it to one file with qemu-img, or export the VM again.",
            )
        )
    return findings


class _Structure:
    """Follows a stream-optimized VMDK while it is read, up to its end-of-stream marker."""

    def __init__(self) -> None:
        self.parser = StreamParser()
        self.problem: VmdkError | None = None

    def watch(self, piece: memoryview) -> None:
        """Take the next piece."""
        if self.problem is None:
            try:
                self.parser.feed(piece)
            except VmdkError as error:
                self.problem = error

    def finish(self) -> VmdkError | None:
        """Return what is wrong, now that the file is at its end."""
        if self.problem is None:
            try:
                self.parser.finish()
            except VmdkError as error:
                self.problem = error
        return self.problem


def check_contents(
    disks: Sequence[ReadableDisk],
    digests: Mapping[Path, Digest],
    on_progress: Progress | None = None,
) -> tuple[dict[str, str], list[Finding]]:
    """Read the disks that there is something to hold against, and return their SHA-256 and what is wrong.

    Args:
        disks: The manifest's disks.
        digests: What the .mf beside a disk says of it.
        on_progress: Called while they are read.
    """
    wanted: dict[Path, Sequence[str]] = {}
    structures: dict[Path, _Structure] = {}
    for disk in disks:
        algorithms = {"sha256"} if isinstance(disk.entry.get("checksum"), str) else set()
        if disk.path in digests:
            algorithms.add(digests[disk.path].algorithm)
        if disk.image and disk.image.variant == "streamOptimized":
            structures[disk.path] = _Structure()
        if algorithms or disk.path in structures:
            wanted[disk.path] = sorted(algorithms)
    try:
        computed = read_files(
            wanted,
            watchers={path: structure.watch for path, structure in structures.items()},
            on_progress=on_progress,
        )
    except ManifestError as error:
        return {}, [Finding(ERROR, "disks", error.message, error.action or _AGAIN)]
    findings: list[Finding] = []
    for disk in disks:
        findings += _check_digests(disk, computed.get(disk.path, {}), digests.get(disk.path))
        structure = structures.get(disk.path)
        problem = structure.finish() if structure else None
        # What its tables showed before stands in the list already.
        if problem is not None and disk.whole:
            where = disk.field("local_path")
            findings.append(
                Finding(
                    ERROR,
                    where,
                    f"{where}: {disk.path}: {problem.message}",
                    problem.action or _AGAIN,
                )
            )
    sums = {
        str(disk.entry.get("id")): f"sha256:{computed[disk.path]['sha256']}"
        for disk in disks
        if "sha256" in computed.get(disk.path, {})
    }
    return sums, findings


def _check_digests(
    disk: ReadableDisk, computed: Mapping[str, str], listed: Digest | None
) -> list[Finding]:
    findings = []
    stated = disk.entry.get("checksum")
    where = disk.field("checksum")
    if isinstance(stated, str) and "sha256" in computed:
        found = f"sha256:{computed['sha256']}"
        if found != stated:
            findings.append(
                Finding(
                    ERROR,
                    where,
                    f"{where} is {stated}, and the file {disk.path} has {found}.",
                    "The disk was changed or damaged since the export: export the VM again, never convert this file.",
                )
            )
    if listed is not None and listed.algorithm in computed:
        found = computed[listed.algorithm]
        if found != listed.value:
            findings.append(
                Finding(
                    ERROR,
                    disk.field("local_path"),
                    f"{disk.field('local_path')}: the .mf beside {disk.path} says {listed.algorithm} {listed.value}, "
                    f"and the file has {found}.",
                    "The disk was changed or damaged since the export: export the VM again, never convert this file.",
                )
            )
    return findings
