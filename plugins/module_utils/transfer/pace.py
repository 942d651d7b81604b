# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hold all transfers of an export below a rate, together."""

from __future__ import annotations

import threading
import time

from .cancel import Cancellation

# Seconds of the rate that may be caught up at once: smooths the pieces, allows no burst to speak of.
_SLACK = 0.25


class Pace:
    """Makes the transfers that share it wait, so that they stay below a rate together.

    Args:
        rate: Bytes per second; 0 for no limit.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._due = time.monotonic()

    def take(self, count: int, cancellation: Cancellation) -> None:
        """Wait until these bytes fit the rate.

        Raises:
            Cancelled: The export was given up meanwhile.
        """
        if not self._rate:
            return
        with self._lock:
            now = time.monotonic()
            self._due = max(self._due, now - _SLACK) + count / self._rate
            pause = self._due - now
        if pause > 0:
            cancellation.sleep(pause)
