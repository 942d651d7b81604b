# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The header of a hosted sparse extent: VMware's "Virtual Disk Format 5.0" technote, page 8."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ..errors import Hyper2KvmError

SECTOR = 512
MAGIC = b"KDMV"

FLAG_NEWLINE_TEST = 1 << 0
FLAG_COMPRESSED = 1 << 16
FLAG_MARKERS = 1 << 17

COMPRESSION_DEFLATE = 1

# gdOffset of a file whose grain directory comes at the end: the footer has the true one.
GD_AT_END = 0xFFFFFFFFFFFFFFFF

_LAYOUT = struct.Struct("<4sII QQQQ I QQQ B 4s H")
_NEWLINE_TEST = b"\n \r\n"

# Tables and directory name places in the file in 32 bits: in a longer file these wrap round.
ENTRY_REACH = 1 << 32  # sectors: 2 TiB

# Bounds on what a header may claim. The largest disk of vSphere is 62 TB; VMware writes grains of
# 128 sectors and tables of 512 entries. The bounds leave room and keep every buffer small.
_MAX_CAPACITY = 1 << 37  # sectors: 64 TiB
_MAX_GRAIN = 1 << 11  # sectors: 1 MiB
_MAX_TABLE_ENTRIES = 1 << 13


class VmdkError(Hyper2KvmError):
    """A VMDK that is damaged, cut short, or of a kind that can't be read."""


class WrongDisk(VmdkError):
    """A VMDK of another disk than the one that was meant."""


def damaged(what: str, offset: int) -> VmdkError:
    """Return the error for data that contradicts the format.

    Args:
        what: What is wrong there.
        offset: Where, in bytes from the start of the file.
    """
    return VmdkError(f"The VMDK is damaged at byte {offset}: {what}.", offset=offset)


def check_reach(size: int) -> None:
    """Check that grain tables can name every place in a file of this size, in bytes.

    Raises:
        VmdkError: They can't.
    """
    if size > ENTRY_REACH * SECTOR:
        raise VmdkError(
            f"The VMDK is {size} bytes long, and its grain tables reach no farther than 2 TiB.",
            action="It can only be read front to back, by the addresses of its grains: export the VM "
            "with working_copies: true.",
        )


@dataclass(frozen=True)
class SparseHeader:
    """What the header says, in the technote's terms; offsets and sizes in sectors of 512 bytes."""

    flags: int
    capacity: int
    grain_size: int
    table_entries: int
    directory_offset: int
    overhead: int

    @property
    def capacity_bytes(self) -> int:
        """Return the size of the disk that the guest sees, in bytes."""
        return self.capacity * SECTOR

    @property
    def grain_bytes(self) -> int:
        """Return the size of a grain, in bytes."""
        return self.grain_size * SECTOR

    @property
    def longest_grain(self) -> int:
        """Return the most that a grain can take compressed, in bytes; deflate hardly ever grows."""
        return self.grain_bytes + (self.grain_bytes >> 6) + SECTOR

    @property
    def directory_at_end(self) -> bool:
        """Tell whether only the footer knows where the grain directory is."""
        return self.directory_offset == GD_AT_END

    @property
    def has_markers(self) -> bool:
        """Tell whether each grain carries its address, so that the file can be read in one pass."""
        return bool(self.flags & FLAG_MARKERS)

    def check_capacity(self, expected: int | None) -> None:
        """Hold the disk's size against the one that it must have, in bytes; None accepts any.

        Raises:
            WrongDisk: They differ.
        """
        if expected is not None and self.capacity_bytes != expected:
            raise WrongDisk(
                f"The VMDK's capacity is {self.capacity_bytes} bytes, the disk's {expected}.",
                action="It belongs to another disk, or the disk was changed during the export.",
            )

    @property
    def tables(self) -> int:
        """Return the number of grain tables that the capacity needs."""
        per_table = self.table_entries * self.grain_size
        return -(-self.capacity // per_table)


def parse_header(sector: bytes | memoryview, offset: int = 0) -> SparseHeader:
    """Read the header, or the footer, of a stream-optimized VMDK.

    Args:
        sector: Its 512 bytes.
        offset: Where they are in the file, in bytes, for the error.

    Raises:
        VmdkError: The bytes are no such header, or claim what can't be.
    """
    (
        magic,
        version,
        flags,
        capacity,
        grain_size,
        descriptor_offset,
        descriptor_size,
        table_entries,
        _redundant_directory,
        directory_offset,
        overhead,
        _unclean,
        newline_test,
        compression,
    ) = _LAYOUT.unpack_from(sector)
    if magic != MAGIC:
        raise damaged("no sparse extent begins there (the magic number KDMV is missing)", offset)
    if version not in (1, 2, 3):
        raise damaged(f"version {version} of the format is unknown", offset)
    if flags & FLAG_NEWLINE_TEST and newline_test != _NEWLINE_TEST:
        raise damaged("the newline test failed: a transfer in text mode has changed bytes", offset)
    if not flags & FLAG_COMPRESSED or compression != COMPRESSION_DEFLATE:
        raise VmdkError(
            "The VMDK is not stream-optimized: its grains are not compressed.",
            action="Convert it with `qemu-img convert -O vmdk -o subformat=streamOptimized`.",
        )
    if not 0 < capacity <= _MAX_CAPACITY:
        raise damaged(f"a capacity of {capacity} sectors is impossible", offset)
    if not 8 <= grain_size <= _MAX_GRAIN or grain_size & (grain_size - 1):
        raise damaged(f"a grain of {grain_size} sectors is impossible", offset)
    if not 0 < table_entries <= _MAX_TABLE_ENTRIES:
        raise damaged(f"a grain table of {table_entries} entries is impossible", offset)
    if not directory_offset:
        raise damaged("the header names no grain directory", offset)
    if descriptor_offset + descriptor_size > overhead:
        raise damaged("the embedded descriptor reaches into the grains", offset)
    return SparseHeader(
        flags=flags,
        capacity=capacity,
        grain_size=grain_size,
        table_entries=table_entries,
        directory_offset=directory_offset,
        overhead=overhead,
    )
