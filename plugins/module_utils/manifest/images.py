# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell a disk image's format and capacity by its own header.

No program is started: an image is untrusted input, and a qcow2's backing file
or a VMDK's extents make a program that opens it read other files. Sources of
the layouts are named at each.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..vmdk.header import FLAG_COMPRESSED, FLAG_MARKERS, SECTOR
from .findings import ManifestError

#: Grains are compressed, and markers stand between them.
_STREAM_OPTIMIZED = FLAG_COMPRESSED | FLAG_MARKERS
#: Where a VHDX has its first region table, in bytes.
VHDX_REGIONS = 192 * 1024
#: A descriptor file of VMDK is text of a few hundred bytes; VMware's own limit is 20 sectors inside a sparse file.
_DESCRIPTOR_LIMIT = 64 * 1024


@dataclass(frozen=True)
class Image:
    """What an image's header says.

    Attributes:
        source_format: One of schema.SOURCE_FORMATS.
        size: Size of the file in bytes.
        capacity: What a guest sees, in bytes; None when the header doesn't say.
        variant: The format's own name for its kind, such as streamOptimized or dynamic.
        refers_to: Other files that it needs (a backing file, extents): it is not the whole disk by itself.
    """

    source_format: str
    size: int
    capacity: int | None
    variant: str = ""
    refers_to: tuple[str, ...] = ()


def identify(path: Path) -> Image:
    """Return what the file at path is.

    A file that has no header of an image format, nor of what disks come wrapped in, is a raw disk.

    Raises:
        ManifestError: It is missing, no regular file, empty, no disk, or its header is broken.
    """
    try:
        facts = os.stat(path)
        if not stat.S_ISREG(facts.st_mode):
            raise ManifestError(
                f"The disk {path} is not a regular file.", action="Name the disk's file."
            )
        with open(path, "rb") as file:
            return identify_open(path, file, facts.st_size)
    except FileNotFoundError:
        raise ManifestError(
            f"The disk {path} does not exist.", action="Export it again, or correct its path."
        ) from None
    except OSError as error:
        raise ManifestError(f"The disk {path} can't be read: {error.strerror or error}.") from error


def identify_open(path: Path, file: BinaryIO, size: int) -> Image:
    """Return what an open file of this size is; path names it in errors.

    Raises:
        ManifestError: It is empty, or its header is broken.
    """
    try:
        return _identify(path, file, size)
    except struct.error as error:
        raise ManifestError(
            f"The disk {path} ends within its own header.",
            action="It is not complete: export it again.",
        ) from error


def _identify(path: Path, file: BinaryIO, size: int) -> Image:
    if size == 0:
        raise ManifestError(
            f"The disk {path} is empty.", action="It is not complete: export it again."
        )
    head = file.read(4096)
    for magic, offset, reader in _MAGICS:
        if head[offset : offset + len(magic)] == magic:
            return reader(path, file, head, size)
    footer = _vhd_footer(file, size)
    if footer is not None:
        return footer
    # A fixed VHD and a raw disk begin with what the guest wrote: only what no boot sector has counts.
    for magic, offset, what, action in _NO_DISKS:
        if head[offset : offset + len(magic)] == magic:
            raise ManifestError(f"{path} is {what}, not a disk.", action=action)
    return Image("raw", size, size)


def _qcow2(path: Path, file: BinaryIO, head: bytes, size: int) -> Image:
    """QEMU's docs/interop/qcow2.rst: version at 4, backing file's offset at 8 and length at 16, capacity at 24."""
    version, backing_offset, backing_length = struct.unpack_from(">IQI", head, 4)
    capacity = struct.unpack_from(">Q", head, 24)[0]
    if version not in (2, 3):
        raise ManifestError(
            f"The disk {path} is qcow of version {version}, which hyper2kvm doesn't take.",
            action="Convert it to qcow2 with qemu-img.",
        )
    refers: list[str] = []
    if backing_offset:
        file.seek(backing_offset)
        refers.append(file.read(min(backing_length, 1023)).decode("utf-8", "replace"))
    # Bit 2 of the incompatible features: the data is in a file of its own.
    if version == 3 and struct.unpack_from(">Q", head, 72)[0] & 4:
        refers.append("external data file")
    return Image("qcow2", size, capacity, f"version {version}", tuple(refers))


def _vmdk_sparse(_path: Path, file: BinaryIO, head: bytes, size: int) -> Image:
    """VMware's Virtual Disk Format 5.0, SparseExtentHeader: flags at 8, capacity in sectors at 12."""
    flags, capacity = struct.unpack_from("<IQ", head, 8)
    stream = flags & _STREAM_OPTIMIZED == _STREAM_OPTIMIZED
    descriptor_offset, descriptor_size = struct.unpack_from("<QQ", head, 28)
    refers: tuple[str, ...] = ()
    if descriptor_offset and descriptor_size:
        file.seek(descriptor_offset * SECTOR)
        text = file.read(min(descriptor_size * SECTOR, _DESCRIPTOR_LIMIT)).split(b"\0", 1)[0]
        refers = _foreign_extents(text.decode("utf-8", "replace"))
    return Image(
        "vmdk", size, capacity * SECTOR, "streamOptimized" if stream else "monolithicSparse", refers
    )


def _vmdk_descriptor(_path: Path, file: BinaryIO, _head: bytes, size: int) -> Image:
    """The text form of the same document: extents that lie in other files."""
    file.seek(0)
    text = file.read(_DESCRIPTOR_LIMIT).decode("utf-8", "replace")
    extents = _EXTENT.findall(text)
    kind = re.search(r'^createType\s*=\s*"([^"]*)"', text, re.MULTILINE)
    capacity = sum(int(sectors) for sectors, _kind, _name in extents) * SECTOR
    return Image(
        "vmdk",
        size,
        capacity or None,
        kind.group(1) if kind else "",
        tuple(name for _s, _k, name in extents),
    )


def _foreign_extents(text: str) -> tuple[str, ...]:
    """A sparse file that holds its descriptor has itself as its extent, under the name that it was written with."""
    names = [name for _sectors, _kind, name in _EXTENT.findall(text)]
    parent = re.search(r'^parentFileNameHint\s*=\s*"([^"]*)"', text, re.MULTILINE)
    return (*(names if len(names) > 1 else ()), *((parent.group(1),) if parent else ()))


_EXTENT = re.compile(r'^(?:RW|RDONLY|NOACCESS)\s+(\d+)\s+(\w+)\s+"([^"]*)"', re.MULTILINE)


def _vhdx(_path: Path, file: BinaryIO, _head: bytes, size: int) -> Image:
    """[MS-VHDX]: region tables at 192 KiB, metadata region, Virtual Disk Size item."""
    metadata_guid = bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e")
    size_guid = bytes.fromhex("2442a52f1bcd7648b2115dbed83bf4b8")
    file.seek(VHDX_REGIONS)
    table = file.read(64 * 1024)
    capacity: int | None = None
    if table[:4] == b"regi":
        count = min(struct.unpack_from("<I", table, 8)[0], 2047)
        for index in range(count):
            guid, offset, length = struct.unpack_from("<16sQI", table, 16 + 32 * index)
            if guid == metadata_guid:
                capacity = _vhdx_capacity(file, offset, length, size_guid)
    return Image("vhdx", size, capacity)


def _vhdx_capacity(file: BinaryIO, offset: int, length: int, wanted: bytes) -> int | None:
    file.seek(offset)
    table = file.read(min(length, 64 * 1024))
    if table[:8] != b"metadata":
        return None
    for index in range(min(struct.unpack_from("<H", table, 10)[0], 2047)):
        guid, item = struct.unpack_from("<16sI", table, 32 + 32 * index)
        if guid == wanted:
            file.seek(offset + item)
            return int(struct.unpack("<Q", file.read(8))[0])
    return None


def _vdi(_path: Path, _file: BinaryIO, head: bytes, size: int) -> Image:
    """VirtualBox's VDICore.h, as QEMU's block/vdi.c has it: image type at 76, capacity at 368, of version 1.1."""
    (kind,) = struct.unpack_from("<I", head, 76)
    (capacity,) = struct.unpack_from("<Q", head, 368)
    names = {1: "dynamic", 2: "fixed", 3: "undo", 4: "differencing"}
    return Image(
        "vdi", size, capacity, names.get(kind, ""), ("its parent",) if kind in (3, 4) else ()
    )


def _vhd_footer(file: BinaryIO, size: int) -> Image | None:
    """Microsoft's Virtual Hard Disk Image Format Specification 1.0: a footer of 512 bytes (511 in old files)."""
    for length in (SECTOR, SECTOR - 1):
        if size < length:
            continue
        file.seek(size - length)
        footer = file.read(length)
        if footer[:8] == b"conectix":
            return _vhd(footer, size)
    return None


def _vhd_head(path: Path, file: BinaryIO, head: bytes, size: int) -> Image:
    """Dynamic images have a copy of the footer in front."""
    return _vhd_footer(file, size) or _vhd(head, size)


def _vhd(footer: bytes, size: int) -> Image:
    (capacity,) = struct.unpack_from(">Q", footer, 48)
    cylinders, heads, sectors = struct.unpack_from(">HBB", footer, 56)
    (kind,) = struct.unpack_from(">I", footer, 60)
    names = {2: "fixed", 3: "dynamic", 4: "differencing"}
    # Virtual PC rounds to the geometry, and QEMU follows it for images by those creators.
    creator = footer[28:32]
    if creator in (b"vpc ", b"vs  ", b"qemu") and cylinders * heads * sectors < 65535 * 16 * 255:
        capacity = cylinders * heads * sectors * SECTOR
    return Image("vhd", size, capacity, names.get(kind, ""), ("its parent",) if kind == 4 else ())


_Reader = Callable[[Path, BinaryIO, bytes, int], Image]
_MAGICS: tuple[tuple[bytes, int, _Reader], ...] = (
    (b"QFI\xfb", 0, _qcow2),
    (b"KDMV", 0, _vmdk_sparse),
    (b"# Disk DescriptorFile", 0, _vmdk_descriptor),
    (b"vhdxfile", 0, _vhdx),
    (b"\x7f\x10\xda\xbe", 64, _vdi),
    (b"conectix", 0, _vhd_head),
)

_UNPACK = "Unpack it, and name the disk that was in it."
_CONVERT = "Convert it to qcow2 with qemu-img, and name the result."
#: What disks come wrapped in, or are described by, and formats that hyper2kvm doesn't take.
_NO_DISKS: tuple[tuple[bytes, int, str, str], ...] = (
    (b"\x1f\x8b\x08", 0, "compressed with gzip", _UNPACK),
    (b"\xfd7zXZ\x00", 0, "compressed with xz", _UNPACK),
    (b"BZh", 0, "compressed with bzip2", _UNPACK),
    (b"\x28\xb5\x2f\xfd", 0, "compressed with zstd", _UNPACK),
    (b"PK\x03\x04", 0, "a zip archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", 0, "a 7z archive", _UNPACK),
    (b"ustar", 257, "a tar archive", f"{_UNPACK} An OVA is given as ovf."),
    (b"<?xml", 0, "an XML document", "An OVF descriptor is given as ovf."),
    (b"<Envelope", 0, "an OVF descriptor", "It is given as ovf."),
    (b"COWD", 0, "a delta of an ESXi snapshot", "Consolidate the VM's snapshots, and export it."),
    (
        b"\xbe\xba\xfe\xca\x00\x00\x00\x00",
        0,
        "a delta of an ESXi snapshot",
        "Consolidate the VM's snapshots, and export it.",
    ),
    (b"QED\x00", 0, "an image in QED's format", _CONVERT),
    (b"WithoutFreeSpace", 0, "an image in Parallels' format", _CONVERT),
    (b"WithouFreSpacExt", 0, "an image in Parallels' format", _CONVERT),
)
