# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.overhead import overhead


def test_the_seconds_are_divided() -> None:
    guest = {"start": 15.0, "mount": 3.0, "initramfs": 40.0, "stop": 1.0}
    assert overhead(170.0, [(2.0, 92.0), (150.0, 160.0)], guest) == {
        "hyper2kvm": 100.0,
        "appliance": 15.0,
        "initramfs": 40.0,
        "rest": 15.0,
        "percent": 15.0,
    }


@pytest.mark.parametrize(
    ("runs", "seconds"),
    [
        # A data disk's, beside FIX; one that ends after it; one that came between.
        ([(0.0, 90.0), (20.0, 30.0)], 90.0),
        ([(20.0, 120.0), (0.0, 90.0)], 120.0),
        ([(0.0, 90.0), (95.0, 100.0), (98.0, 110.0)], 105.0),
        ([], 0.0),
    ],
)
def test_runs_that_overlap_count_once(runs: list[tuple[float, float]], seconds: float) -> None:
    divided = overhead(130.0, runs, {})
    assert divided["hyper2kvm"] == seconds
    assert divided["rest"] == 130.0 - seconds
