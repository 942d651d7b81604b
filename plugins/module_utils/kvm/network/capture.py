# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What passed a NIC, as a file that tcpdump and Wireshark read (pcap, draft-ietf-opsawg-pcap)."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)  # 1: Ethernet
_RECORD = struct.Struct("<IIII")


class Capture:
    """A capture file of bounded size."""

    def __init__(self, path: Path, limit: int) -> None:
        """Begin the file; nothing is written beyond *limit* bytes."""
        self.path = path
        self._room = limit
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        self._write(_HEADER)

    def add(self, raw: bytes) -> None:
        """Add a frame that passes now."""
        now = time.time()
        size = len(raw)
        record = _RECORD.pack(int(now), int(now % 1 * 1_000_000), size, size) + raw
        if len(record) <= self._room:
            self._write(record)

    def close(self) -> None:
        """End the file."""
        os.close(self._file)

    def _write(self, data: bytes) -> None:
        self._room -= len(data)
        os.write(self._file, data)
