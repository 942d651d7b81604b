# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a stream-optimized VMDK front to back, as it arrives, in constant memory.

The format is in VMware's "Virtual Disk Format 5.0" technote, "Stream-Optimized Compressed". Two
layouts are met in the field:

- ESXi and open-vmdk write the header, then markers with grains and grain tables, then the grain
  directory, a footer (a copy of the header that knows where the directory is) and the
  end-of-stream marker.
- qemu-img writes the directory and all tables in front of the first grain, and zeros behind the
  last one.

In both, the tables name the place of every grain. The parser adds up a hash of each grain that it
passes and takes away one of each table entry: at the end the sum must be zero, so that a grain
that is missing or stands in the wrong place shows without any of them being kept. Table entries
have 32 bits: behind 2 TiB of the file they wrap round, and so does what they are held against. Where
a grain belongs is told by its marker alone, in 64 bits.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable
from typing import NamedTuple

from .header import ENTRY_REACH, SECTOR, SparseHeader, VmdkError, damaged, parse_header

_MARKER = struct.Struct("<QI")
_MARKER_TYPE = struct.Struct("<I")
_ENTRIES = struct.Struct("<128I")  # one sector of a grain table or directory
_GRAIN_DATA = 12  # the data of a grain begins behind its address and size

_END_OF_STREAM = 0
_GRAIN_TABLE = 1
_GRAIN_DIRECTORY = 2
_FOOTER = 3
_PROGRESS = 4  # not in the technote; open-vmdk knows it

EMPTY_ENTRIES = (0, 1)  # 0: no grain; 1: a grain of zeros (version 2, flag bit 2)


class Grain(NamedTuple):
    """One grain, still compressed."""

    start: int
    """Where its data belongs on the disk, in bytes."""
    data: bytes
    """A zlib stream."""
    offset: int
    """Where its marker stands in the file, in bytes."""


# A step reads from the view at the position and returns the new position, or the same one where it
# needs more bytes than there are: how many, it leaves in _needed.
_Step = Callable[[memoryview, int], int]


class StreamParser:
    """Takes the file's bytes in pieces of any size and hands out the grains in them.

    Args:
        expected_capacity: The size that the disk must have, in bytes; the header is held against
            it. None accepts any.
        keep_grains: Whether grains are handed out; False only checks the structure, which costs
            next to nothing since the data of the grains is not touched.
    """

    def __init__(self, expected_capacity: int | None = None, *, keep_grains: bool = True) -> None:
        self._expected_capacity = expected_capacity
        self._keep_grains = keep_grains
        self._header: SparseHeader | None = None
        self._base = 0  # where the view that is being read begins in the file, in bytes
        self._carry = bytearray()  # the begin of what the next piece completes
        self._needed = SECTOR
        self._grains: list[Grain] = []
        self._step: _Step = self._read_header
        # The metadata block that is being read: sectors left, entries passed, who takes them.
        self._block_left = 0
        self._block_entries = 0
        self._block_handler: Callable[[memoryview], None] = self._pass_over
        self._grain_left = 0  # bytes of a grain that is not kept
        # Sums of hashes, zero at the end: grains against table entries, tables against directory.
        self._grain_balance = 0
        self._table_balance = 0
        self._directory_offset = 0  # sectors
        self._front_directory = array("I")
        self._front_table = 0
        self._footer_seen = False
        self._ended = False
        self._position = 0

    @property
    def header(self) -> SparseHeader:
        """Return the header; an error before it has arrived."""
        if self._header is None:
            raise VmdkError("The VMDK ends before its header is complete.")
        return self._header

    @property
    def has_header(self) -> bool:
        """Tell whether the header has arrived."""
        return self._header is not None

    @property
    def position(self) -> int:
        """Return where on the disk the last grain belongs, in bytes: how far the stream is."""
        return self._position

    def feed(self, data: bytes | bytearray | memoryview) -> list[Grain]:
        """Take the next bytes of the file and return the grains that they complete.

        Raises:
            VmdkError: The data contradicts the format; the error has the offset.
        """
        self._grains = []
        view = memoryview(data)
        start = 0
        while self._carry:
            piece = view[start : start + self._needed - len(self._carry)]
            start += len(piece)
            self._carry += piece
            if len(self._carry) < self._needed:
                return self._grains
            with memoryview(self._carry) as carried:
                used = self._advance(carried)
            del self._carry[:used]
        used = self._advance(view[start:])
        self._carry += view[start + used :]
        return self._grains

    def _advance(self, view: memoryview) -> int:
        """Take as many steps as the view allows and return how many bytes they used."""
        position = 0
        while True:
            step = self._step
            advanced = step(view, position)
            if advanced == position and step == self._step:
                break
            position = advanced
        self._base += position
        return position

    def _lacks(self, view: memoryview, position: int, size: int = SECTOR) -> bool:
        """Tell whether the view holds fewer bytes than these, and note that they are needed."""
        self._needed = size
        return len(view) - position < size

    def finish(self) -> None:
        """Check that the file was complete.

        Raises:
            VmdkError: It ended early, or its tables don't agree with its grains.
        """
        header = self.header
        end = self._base + len(self._carry)
        if self._carry or not (self._ended or self._may_end_without_marker()):
            raise VmdkError(
                f"The VMDK ends early, at byte {end}: its end-of-stream marker is missing.",
                action="The transfer was cut short; fetch the disk again.",
                offset=end,
            )
        if header.directory_at_end and not self._footer_seen:
            raise damaged("the stream ends without a footer", end)
        if self._grain_balance:
            raise damaged("its grain tables name other grains than the file holds", end)
        if self._table_balance:
            raise damaged("its grain directory names other tables than the file holds", end)

    def _may_end_without_marker(self) -> bool:
        # Where the tables are in front they tell whether all grains have come, and qemu-img writes
        # no marker behind the last.
        return not self.header.directory_at_end and self._step == self._read_marker

    # -- the header and what stands in front of the grains ---------------------------------------

    def _read_header(self, view: memoryview, position: int) -> int:
        if self._lacks(view, position):
            return position
        header = parse_header(view[position : position + SECTOR], self._base + position)
        if not header.has_markers:
            raise VmdkError(
                "The VMDK's grains carry no addresses (no markers), so it can't be read as it arrives."
            )
        header.check_capacity(self._expected_capacity)
        self._header = header
        self._step = self._read_front
        return position + SECTOR

    def _read_front(self, view: memoryview, position: int) -> int:
        """Pass the descriptor, and the directory and tables where they are in front."""
        header = self.header
        while True:
            sector = (self._base + position) // SECTOR
            if sector >= header.overhead:
                if self._front_incomplete():
                    raise damaged("the grain tables are not all in front", self._base + position)
                self._step = self._read_marker
                return position
            if self._lacks(view, position):
                return position
            if not header.directory_at_end:
                self._take_front(view[position : position + SECTOR], sector)
            position += SECTOR

    def _front_incomplete(self) -> bool:
        header = self.header
        return not header.directory_at_end and self._front_table < header.tables

    def _take_front(self, piece: memoryview, sector: int) -> None:
        header = self.header
        index = (sector - header.directory_offset) * (SECTOR // 4)
        if 0 <= index < header.tables:
            self._front_directory.extend(_ENTRIES.unpack(piece)[: header.tables - index])
            return
        if index < 0 or self._front_table >= header.tables:
            return
        # The directory has been read: its tables follow in order, as qemu-img writes them.
        table = self._front_directory[self._front_table]
        if sector < table:
            return
        done = (sector - table) * (SECTOR // 4)
        if done >= header.table_entries:
            raise damaged("the grain tables in front are not in order", sector * SECTOR)
        entries = _ENTRIES.unpack(piece)[: header.table_entries - done]
        self._settle_table(entries, done)
        if done + len(entries) >= header.table_entries:
            self._front_table += 1

    # -- markers ----------------------------------------------------------------------------------

    def _read_marker(self, view: memoryview, position: int) -> int:
        header = self.header
        while not self._lacks(view, position):
            value, size = _MARKER.unpack_from(view, position)
            if not size:
                return self._read_metadata_marker(view, position, value)
            offset = self._base + position
            if size > header.longest_grain:
                raise damaged(f"a compressed grain of {size} bytes is impossible", offset)
            if value >= header.capacity or value % header.grain_size:
                raise damaged(f"sector {value} is no grain of this disk", offset)
            end = position + _GRAIN_DATA + size
            padded = end + -end % SECTOR
            if self._keep_grains:
                if self._lacks(view, position, padded - position):
                    return position
                data = bytes(view[position + _GRAIN_DATA : end])
                self._grains.append(Grain(value * SECTOR, data, offset))
            self._position = value * SECTOR
            slot = value // header.grain_size % header.table_entries
            entry = offset // SECTOR % ENTRY_REACH
            if entry not in EMPTY_ENTRIES:
                self._grain_balance += hash((slot, entry))
            if padded > len(view):
                self._grain_left = padded - len(view)
                self._step = self._pass_grain
                return len(view)
            position = padded
        return position

    def _pass_grain(self, view: memoryview, position: int) -> int:
        passed = min(self._grain_left, len(view) - position)
        self._grain_left -= passed
        if not self._grain_left:
            self._step = self._read_marker
        return position + passed

    def _read_metadata_marker(self, view: memoryview, position: int, sectors: int) -> int:
        header = self.header
        offset = self._base + position
        (kind,) = _MARKER_TYPE.unpack_from(view, position + _GRAIN_DATA)
        here = offset // SECTOR + 1
        if kind == _END_OF_STREAM and not sectors:
            if header.directory_at_end and not self._footer_seen:
                raise damaged("the stream ends before its footer", offset)
            self._ended = True
            self._step = self._read_padding
            return position + SECTOR
        if kind == _GRAIN_TABLE:
            self._expect_sectors(sectors, header.table_entries, "grain table", offset)
            if here % ENTRY_REACH:
                self._table_balance += hash((here % ENTRY_REACH,))
            self._block_handler = self._take_table
        elif kind == _GRAIN_DIRECTORY:
            self._expect_sectors(sectors, header.tables, "grain directory", offset)
            self._directory_offset = here
            self._block_handler = self._take_directory
        elif kind == _FOOTER:
            if sectors != 1:
                raise damaged(f"a footer of {sectors} sectors is impossible", offset)
            self._step = self._read_footer
            return position + SECTOR
        elif kind == _PROGRESS:
            self._block_handler = self._pass_over
        else:
            raise damaged(f"a marker of type {kind} is unknown", offset)
        self._block_left, self._block_entries = sectors, 0
        self._step = self._read_block
        return position + SECTOR

    @staticmethod
    def _expect_sectors(sectors: int, entries: int, what: str, offset: int) -> None:
        if sectors != -(-entries * 4 // SECTOR):
            raise damaged(f"a {what} of {sectors} sectors doesn't fit the capacity", offset)

    def _read_block(self, view: memoryview, position: int) -> int:
        """Pass a metadata block, sector by sector so that a large one needs no memory."""
        while self._block_left:
            if self._lacks(view, position):
                return position
            self._block_handler(view[position : position + SECTOR])
            self._block_left -= 1
            position += SECTOR
        self._step = self._read_marker
        return position

    def _pass_over(self, piece: memoryview) -> None:
        pass

    def _take_table(self, piece: memoryview) -> None:
        entries = _ENTRIES.unpack(piece)[: self.header.table_entries - self._block_entries]
        self._settle_table(entries, self._block_entries)
        self._block_entries += len(entries)

    def _settle_table(self, entries: tuple[int, ...], first_slot: int) -> None:
        for slot, sector in enumerate(entries, first_slot):
            if sector not in EMPTY_ENTRIES:
                self._grain_balance -= hash((slot, sector))

    def _take_directory(self, piece: memoryview) -> None:
        entries = _ENTRIES.unpack(piece)[: self.header.tables - self._block_entries]
        self._table_balance -= sum(hash((sector,)) for sector in entries if sector)
        self._block_entries += len(entries)

    def _read_footer(self, view: memoryview, position: int) -> int:
        if self._lacks(view, position):
            return position
        offset = self._base + position
        header, footer = self.header, parse_header(view[position : position + SECTOR], offset)
        if (footer.capacity, footer.grain_size) != (header.capacity, header.grain_size):
            raise damaged("the footer describes another disk than the header", offset)
        if footer.directory_offset != self._directory_offset:
            raise damaged("the footer names another grain directory than the file holds", offset)
        self._footer_seen = True
        self._step = self._read_marker
        return position + SECTOR

    def _read_padding(self, view: memoryview, position: int) -> int:
        rest = view[position:]
        if any(rest.tobytes()):
            raise damaged("data follows the end-of-stream marker", self._base + position)
        return len(view)
