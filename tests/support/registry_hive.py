# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes a registry hive: the file form of Windows' registry, as far as a test needs it.

The form ("regf") is described by the hivex project and in libregf's documentation: a base block,
then bins of cells, each cell a key (nk), a list of keys (lf), a value (vk), or a value's data.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Union

# A key's content: subkeys by their names, and values as numbers or strings.
Key = Mapping[str, Union["Key", int, str]]

_BLOCK = 4096
_NONE = 0xFFFFFFFF
_REG_EXPAND_SZ, _REG_DWORD = 2, 4
_ROOT_FLAGS, _KEY_FLAGS = 0x2C, 0x20


class _Cells:
    """The cells of the one bin, in the order in which they are made."""

    def __init__(self) -> None:
        self.data = bytearray(b"hbin" + bytes(28))

    def add(self, content: bytes) -> int:
        """Add a cell; returns its offset, which counts from the end of the base block."""
        offset = len(self.data)
        size = (4 + len(content) + 7) // 8 * 8
        self.data += struct.pack("<i", -size) + content + bytes(size - 4 - len(content))
        return offset

    def patch(self, offset: int, position: int, value: int) -> None:
        struct.pack_into("<I", self.data, offset + 4 + position, value)


def make_hive(root: Key) -> bytes:
    """Return a hive with these keys and values below its root."""
    cells = _Cells()
    offset = _key(cells, "root", root, parent=0, flags=_ROOT_FLAGS)
    size = (len(cells.data) + _BLOCK - 1) // _BLOCK * _BLOCK
    free = size - len(cells.data)
    if free:
        cells.data += struct.pack("<i", free) + bytes(free - 4)
    struct.pack_into("<II", cells.data, 4, 0, size)
    base = bytearray(_BLOCK)
    struct.pack_into("<4sIIQIIIIIII", base, 0, b"regf", 1, 1, 0, 1, 3, 0, 1, offset, size, 1)
    checksum = 0
    for (word,) in struct.iter_unpack("<I", bytes(base[:508])):
        checksum ^= word
    struct.pack_into("<I", base, 508, checksum)
    return bytes(base + cells.data)


def _key(cells: _Cells, name: str, content: Key, *, parent: int, flags: int) -> int:
    subkeys = {key: value for key, value in content.items() if isinstance(value, Mapping)}
    values = {key: value for key, value in content.items() if not isinstance(value, Mapping)}
    encoded = name.encode("ascii")
    fields = [0, parent, len(subkeys), 0, _NONE, _NONE, len(values), _NONE, _NONE, _NONE]
    record = struct.pack("<2sHQ", b"nk", flags, 0) + struct.pack("<10I", *fields)
    record += bytes(20) + struct.pack("<HH", len(encoded), 0) + encoded
    offset = cells.add(record)
    if subkeys:
        entries = b""
        for key in sorted(subkeys, key=str.upper):
            child = _key(cells, key, subkeys[key], parent=offset, flags=_KEY_FLAGS)
            entries += struct.pack("<I4s", child, key.encode("ascii")[:4])
        cells.patch(offset, 28, cells.add(struct.pack("<2sH", b"lf", len(subkeys)) + entries))
    if values:
        made = [_value(cells, key, value) for key, value in values.items()]
        cells.patch(offset, 40, cells.add(struct.pack(f"<{len(made)}I", *made)))
    return offset


def _value(cells: _Cells, name: str, value: int | str) -> int:
    encoded = name.encode("ascii")
    if isinstance(value, int):
        # Data of four bytes lies in the value itself, which the length's highest bit says.
        length, data, kind = 0x80000004, value, _REG_DWORD
    else:
        text = value.encode("utf-16-le") + b"\0\0"
        length, data, kind = len(text), cells.add(text), _REG_EXPAND_SZ
    return cells.add(
        struct.pack("<2sHIIIHH", b"vk", len(encoded), length, data, kind, 1, 0) + encoded
    )
