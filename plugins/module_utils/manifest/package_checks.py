# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check that a manifest's disks agree with the OVF package that they lie in: its .mf and its descriptor."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from .digests import Digest, parse_mf
from .disk_checks import ReadableDisk
from .findings import ERROR, WARNING, Finding, ManifestError
from .ovf import Descriptor, OvfDisk, parse_descriptor
from .ovf_package import file_name

_AGAIN = "The files don't belong together: export the VM again."


def digests_beside(disks: Sequence[ReadableDisk]) -> tuple[dict[Path, Digest], list[Finding]]:
    """Return what the .mf files beside the disks say of them, and what is wrong with the .mf files."""
    by_path = {disk.path: disk for disk in disks}
    digests: dict[Path, Digest] = {}
    findings: list[Finding] = []
    for listing in _beside(disks, "*.mf"):
        try:
            listed, odd = parse_mf(listing.read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            findings.append(_unreadable(listing, error))
            continue
        if not any(listing.parent / name in by_path for name in listed):
            continue
        findings += [
            Finding(
                WARNING,
                "",
                f"{listing}: the line {line!r} is not a digest, or contradicts an earlier one.",
                "Write the .mf anew, or export the VM again.",
            )
            for line in odd
        ]
        for name, digest in listed.items():
            path = listing.parent / name
            if path in by_path:
                digests[path] = digest
                findings += _check_stated(by_path[path], digest, listing)
            elif path.suffix == ".ovf":
                findings += _check_descriptor_digest(path, digest, listing)
    return digests, findings


def check_packages(disks: Sequence[ReadableDisk]) -> list[Finding]:
    """Return where the descriptors beside the disks say something else than the manifest and the files."""
    by_path = {disk.path: disk for disk in disks}
    findings: list[Finding] = []
    for path in _beside(disks, "*.ovf"):
        try:
            descriptor = parse_descriptor(path.read_bytes(), str(path))
        except OSError as error:
            findings.append(_unreadable(path, error))
            continue
        except ManifestError as error:
            findings.append(Finding(WARNING, "", error.message, error.action or _AGAIN))
            continue
        findings += _check_descriptor(path, descriptor, by_path)
    return findings


def _beside(disks: Iterable[ReadableDisk], pattern: str) -> list[Path]:
    directories = dict.fromkeys(disk.path.parent for disk in disks)
    return [
        path
        for directory in directories
        for path in sorted(directory.glob(pattern))
        if path.is_file()
    ]


def _check_stated(disk: ReadableDisk, digest: Digest, listing: Path) -> list[Finding]:
    stated = disk.entry.get("checksum")
    if (
        digest.algorithm != "sha256"
        or not isinstance(stated, str)
        or stated == f"sha256:{digest.value}"
    ):
        return []
    return [
        Finding(
            ERROR,
            disk.field("checksum"),
            f"{disk.field('checksum')} is {stated}, and {listing} says sha256:{digest.value} of {disk.path}.",
            _AGAIN,
        )
    ]


def _check_descriptor_digest(path: Path, digest: Digest, listing: Path) -> list[Finding]:
    try:
        found = hashlib.new(digest.algorithm, path.read_bytes()).hexdigest()
    except OSError as error:
        return [_unreadable(path, error)]
    if found == digest.value:
        return []
    return [
        Finding(
            ERROR,
            "",
            f"{listing} says {digest.algorithm} {digest.value} of {path}, and the file has {found}.",
            "The descriptor was changed since the export: export the VM again.",
        )
    ]


def _check_descriptor(
    path: Path, descriptor: Descriptor, by_path: dict[Path, ReadableDisk]
) -> list[Finding]:
    named: list[tuple[OvfDisk, Path]] = []
    for ovf_disk in descriptor.disks:
        if ovf_disk.file is not None:
            try:
                named.append((ovf_disk, path.parent / file_name(ovf_disk.file, str(path))))
            except ManifestError as error:
                return [Finding(WARNING, "", error.message, error.action)]
    if not any(file in by_path for _disk, file in named):
        return []  # The descriptor of another VM in the same directory.
    findings: list[Finding] = []
    for ovf_disk, file in named:
        disk = by_path.get(file)
        if disk is None:
            findings.append(
                Finding(
                    WARNING,
                    "disks",
                    f"disks has no entry for {file}, a disk of the VM by {path}.",
                    "Build the manifest anew, unless the disk is left out on purpose.",
                )
            )
        else:
            findings += _check_against(disk, ovf_disk, path)
    return findings


def _check_against(disk: ReadableDisk, ovf_disk: OvfDisk, path: Path) -> list[Finding]:
    findings = []
    size = ovf_disk.file.size if ovf_disk.file else None
    if size is not None and size != disk.size:
        # Some exporters write the capacity for the size of the file (govmomi#2967).
        careless = size == ovf_disk.capacity
        findings.append(
            Finding(
                WARNING if careless else ERROR,
                disk.field("bytes"),
                f"{disk.field('bytes')}: {path} says that {disk.path} has {size} bytes, and it has {disk.size}"
                + (" (the descriptor has the disk's capacity there)." if careless else "."),
                "Nothing: the exporter wrote it so." if careless else _AGAIN,
            )
        )
    capacity = disk.image.capacity if disk.image else None
    if capacity is not None and not ovf_disk.agrees_with(capacity):
        findings.append(
            Finding(
                ERROR,
                disk.field("capacity"),
                f"{disk.field('capacity')}: {path} says that {disk.path} holds a disk of {ovf_disk.capacity} bytes, "
                f"and it holds one of {capacity}.",
                _AGAIN,
            )
        )
    return findings


def _unreadable(path: Path, error: OSError) -> Finding:
    return Finding(
        WARNING,
        "",
        f"{path} can't be read: {error.strerror or error}.",
        "Let the user that runs this read it.",
    )
