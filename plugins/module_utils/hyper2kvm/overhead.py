# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a conversion takes beside hyper2kvm's own runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def overhead(
    total: float, runs: Iterable[tuple[float, float]], guest_seconds: Mapping[str, float]
) -> dict[str, float]:
    """Divide the seconds of a conversion among those who took them.

    Args:
        total: Seconds from its beginning to its end.
        runs: When each run of hyper2kvm began and ended, on one clock; they may overlap.
        guest_seconds: Seconds of the parts of the guest's repair, by name (see guest/inside.py).

    Returns:
        hyper2kvm: while it ran, here or in its daemon; appliance: the start of libguestfs' appliance
        for the repair; initramfs: the guest's own tools making one anew; rest: everything else
        that was waited for; percent: the rest, of hyper2kvm's seconds.
    """
    hyper2kvm = _covered(runs)
    appliance = guest_seconds.get("start", 0.0)
    initramfs = guest_seconds.get("initramfs", 0.0)
    rest = max(0.0, total - hyper2kvm - appliance - initramfs)
    return {
        "hyper2kvm": round(hyper2kvm, 2),
        "appliance": round(appliance, 2),
        "initramfs": round(initramfs, 2),
        "rest": round(rest, 2),
        "percent": round(100 * rest / hyper2kvm, 1) if hyper2kvm else 0.0,
    }


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Return how long at least one of the spans lasted."""
    covered, until = 0.0, float("-inf")
    for began, ended in sorted(spans):
        covered += max(0.0, ended - max(began, until))
        until = max(until, ended)
    return covered
