# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
import time

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.transfer.cancel import Cancellation
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.transfer.errors import Cancelled
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.transfer.pace import Pace


def test_transfers_share_a_rate() -> None:
    pace, cancellation = Pace(1_000_000), Cancellation()
    started = time.monotonic()

    def transfer() -> None:
        for _turn in range(5):
            pace.take(100_000, cancellation)

    threads = [threading.Thread(target=transfer) for _turn in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # 1 MB at 1 MB/s, less what may be caught up at once.
    assert 0.6 < time.monotonic() - started < 3


def test_no_limit_never_waits() -> None:
    pace, started = Pace(0), time.monotonic()
    for _turn in range(1000):
        pace.take(1 << 30, Cancellation())
    assert time.monotonic() - started < 1


def test_a_wait_ends_when_the_export_is_given_up() -> None:
    pace, cancellation = Pace(1), Cancellation()
    threading.Timer(0.2, cancellation.cancel).start()
    with pytest.raises(Cancelled):
        pace.take(1000, cancellation)
