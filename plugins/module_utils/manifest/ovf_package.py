# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read an OVF with the files beside it, or an OVA."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from .digests import Digest, parse_mf
from .findings import ManifestError, shown
from .images import Image, identify, identify_open
from .model import Artifacts, Disk, Machine
from .ova import Ova, is_unpacked, open_ova, unpack
from .ovf import Descriptor, OvfDisk, OvfFile, parse_descriptor

#: Returns where a file of the package is, and what it is.
_Locate = Callable[[str], "tuple[Path, Image]"]


@dataclass(frozen=True)
class Package:
    """What a package says, and whether files were unpacked for it."""

    artifacts: Artifacts
    unpacked: bool = False


def read_package(
    path: Path, *, unpack_to: Path | None = None, provider: str = "", check_mode: bool = False
) -> Package:
    """Return what an OVF descriptor or an OVA says.

    Args:
        path: The .ovf or the .ova; an OVA is told by its content.
        unpack_to: Directory that an OVA's disks are written to; in check mode nothing is.
        provider: Where the VM came from, or "" to tell it by the descriptor's product.
        check_mode: Whether to write nothing.

    Raises:
        ManifestError: It can't be read, or its disks are missing or in a form that no manifest describes.
    """
    if _is_xml(path):
        if unpack_to is not None:
            raise ManifestError(
                f"ovf_directory is given, and {path} is no OVA that could be unpacked.",
                action="Leave ovf_directory out.",
            )
        descriptor = parse_descriptor(_read(path), str(path))
        digests = _digests_beside(path)
        artifacts = _artifacts(
            descriptor,
            path.parent,
            lambda name: (path.parent / name, identify(path.parent / name)),
            digests=digests,
            provider=provider,
            kind="ovf",
        )
        return Package(artifacts)
    directory = unpack_to or path.with_suffix("")
    with open_ova(path) as ova:
        return _read_ova(ova, directory, provider, check_mode)


def file_name(file: OvfFile, descriptor: str) -> str:
    """Return a referenced file's name in the descriptor's own directory.

    Raises:
        ManifestError: It lies elsewhere, is compressed or cut into chunks.
    """
    name = unquote(file.href)
    parts = Path(name).parts
    if (
        "://" in name
        or name.startswith("/")
        or ".." in parts
        or "\\" in name
        or "\0" in name
        or not parts
    ):
        raise ManifestError(
            f"{descriptor}: the file {shown(file.href)} of References is not one beside the descriptor.",
            action="Put the disk beside the descriptor, and correct its href.",
        )
    if file.chunked:
        raise ManifestError(
            f"{descriptor}: the file {shown(file.href)} is cut into chunks (ovf:chunkSize).",
            action="Export the VM without chunks, or put the pieces together.",
        )
    if file.compression not in ("", "identity"):
        raise ManifestError(
            f"{descriptor}: the file {shown(file.href)} is compressed with {file.compression}.",
            action="Unpack it, and remove ovf:compression from the descriptor.",
        )
    return name


def _read_ova(ova: Ova, directory: Path, provider: str, check_mode: bool) -> Package:
    written = False
    name = ova.descriptor
    with ova.open(name) as file:
        raw = file.read()
    descriptor = parse_descriptor(raw, f"{ova.path}:{name}")
    listing = next((member for member in ova.members if member.lower().endswith(".mf")), None)
    wanted = [name, *([listing] if listing else [])]
    digests: Mapping[str, Digest] = {}
    if listing:
        with ova.open(listing) as file:
            digests, _odd = parse_mf(file.read().decode("utf-8", "replace"))

    def locate(member: str) -> tuple[Path, Image]:
        with ova.open(member) as file:
            image = identify_open(directory / member, file, ova.members[member].size)  # type: ignore[arg-type]
        wanted.append(member)
        return directory / member, image

    artifacts = _artifacts(
        descriptor, directory, locate, digests=digests, provider=provider, kind="ova"
    )
    for member in wanted:
        if not is_unpacked(ova, member, directory):
            written = True
            if not check_mode:
                unpack(ova, member, directory)
    return Package(artifacts, written)


def _artifacts(
    descriptor: Descriptor,
    directory: Path,
    locate: _Locate,
    *,
    digests: Mapping[str, Digest],
    provider: str,
    kind: str,
) -> Artifacts:
    where = str(directory)
    warnings: list[str] = []
    disks: list[Disk] = []
    for disk in descriptor.disks:
        if disk.file is None:
            warnings.append(
                f"The descriptor's disk {disk.id or disk.label} has no file: it was empty, and is left out."
            )
            continue
        disks.append(_disk(disk, disk.file, locate, digests, where))
    if not disks:
        raise ManifestError(
            f"{where}: the descriptor names no disk with a file.", action="Export the VM again."
        )
    notes = [
        f"Read from an {kind.upper()}" + (f" of {descriptor.product}" if descriptor.product else "")
    ]
    if len(disks) > 1 and not descriptor.boot_disk_known:
        notes.append(
            "The descriptor names no boot disk: the first disk of the first controller is taken"
        )
    provider = provider or {"VMware": "vsphere"}.get(descriptor.product, "local")
    facts: dict[str, Any] = (
        {"product": descriptor.product} if provider == "local" and descriptor.product else {}
    )
    if provider == "vsphere" and descriptor.os_version:
        facts["guest_id"] = descriptor.os_version
    return Artifacts(
        provider=provider,
        export_method=kind,
        export_format=kind,
        directory=directory,
        machine=Machine(
            name=descriptor.name,
            id=descriptor.id,
            cpu=descriptor.cpu,
            memory_mb=descriptor.memory_mb,
            firmware=descriptor.firmware,
            secure_boot=descriptor.secure_boot,
            os_hint=descriptor.os_hint,
            os_version=descriptor.os_version,
            nics=descriptor.nics,
        ),
        disks=tuple(disks),
        facts=facts,
        notes=tuple(notes),
        warnings=tuple(warnings),
    )


def _disk(
    disk: OvfDisk, file: OvfFile, locate: _Locate, digests: Mapping[str, Digest], where: str
) -> Disk:
    name = file_name(file, where)
    path, image = locate(name)
    if image.refers_to:
        raise ManifestError(
            f"The disk {path} is not whole by itself: it needs {', '.join(image.refers_to)}.",
            action="Convert it to one file with qemu-img, or export the VM again.",
        )
    digest = digests.get(name)
    return Disk(
        path=path,
        size=image.size,
        source_format=image.source_format,
        capacity=_capacity(disk, image),
        checksum=f"sha256:{digest.value}" if digest and digest.algorithm == "sha256" else None,
        boots=disk.boots or None,
        label=disk.label,
        controller=disk.controller,
        unit_number=disk.unit_number,
    )


def _capacity(disk: OvfDisk, image: Image) -> int | None:
    """Return the capacity: the descriptor's, unless it is the image's rounded to a larger unit."""
    if image.capacity is not None and disk.agrees_with(image.capacity):
        return image.capacity
    return disk.capacity


def _digests_beside(path: Path) -> Mapping[str, Digest]:
    with suppress(FileNotFoundError):
        digests, _odd = parse_mf(
            path.with_suffix(".mf").read_text(encoding="utf-8", errors="replace")
        )
        return digests
    return {}


def _is_xml(path: Path) -> bool:
    """Whether the file starts as XML does: in UTF-8 with or without a mark, or in UTF-16."""
    try:
        with open(path, "rb") as file:
            head = file.read(64)
    except FileNotFoundError:
        raise ManifestError(
            f"The OVF {path} does not exist.", action="Export the VM, or correct the path."
        ) from None
    except OSError as error:
        raise ManifestError(f"The OVF {path} can't be read: {error.strerror or error}.") from error
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") or head[:2] in (
        b"\xff\xfe",
        b"\xfe\xff",
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ManifestError(f"The OVF {path} can't be read: {error.strerror or error}.") from error
