# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far the transfers of one export are."""

from __future__ import annotations

import threading


class Progress:
    """Counts what several transfers have received.

    The length of a stream is not known ahead. How far a disk is, is told by the addresses of the
    grains that have come: ESXi sends them in order. It is an estimate, since a disk's full and
    empty parts take different time.

    Args:
        total: The capacities of all disks, in bytes.
    """

    def __init__(self, total: int) -> None:
        self._lock = threading.Lock()
        self._total = max(total, 1)
        self._positions: dict[str, int] = {}
        self._received = 0

    def add(self, received: int) -> None:
        """Count bytes that have arrived; a negative number takes back those of a failed try."""
        with self._lock:
            self._received += received

    def reach(self, name: str, position: int) -> None:
        """Note how far the disk in this file is, in bytes of its capacity."""
        self._positions[name] = position

    @property
    def received(self) -> int:
        """Return the bytes that have arrived."""
        return self._received

    def percent(self) -> int:
        """Return how much is done, 0 to 100, as an estimate."""
        return min(100, 100 * sum(list(self._positions.values())) // self._total)
