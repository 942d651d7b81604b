# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.plugin_utils.live_progress import (
    ProgressLines,
    describe,
)


def test_a_line_for_each_step_and_none_between() -> None:
    lines = ProgressLines("web01")
    printed = [
        lines.next_line({"stage": "exporting", "percent": percent}, float(percent))
        for percent in (0, 2, 4, 5, 9, 10)
    ]
    assert printed == [
        "[web01] exporting: 0 %",
        None,
        None,
        "[web01] exporting: 5 %",
        None,
        "[web01] exporting: 10 %",
    ]


def test_a_stage_that_hangs_is_told_every_half_minute() -> None:
    lines = ProgressLines("web01")
    state = {"stage": "fix", "percent": None}
    printed = [lines.next_line(state, now) for now in (0.0, 10.0, 29.0, 31.0)]
    assert printed == ["[web01] fix", None, None, "[web01] fix"]


def test_a_new_stage_is_told_at_once() -> None:
    lines = ProgressLines("web01")
    assert lines.next_line({"stage": "fix"}, 0.0) == "[web01] fix"
    assert lines.next_line({"stage": "convert", "percent": 1}, 1.0) == "[web01] convert: 1 %"


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({"stage": "inspect", "percent": None}, "inspect"),
        (
            {
                "stage": "exporting",
                "percent": 45.4,
                "bytes_done": 1288490189,
                "bytes_per_second": 220200960,
                "seconds_left": 3725,
            },
            "exporting: 45 %, 1.2 GiB, 210.0 MiB/s, about 1 h 2 min left",
        ),
        (
            {"stage": "exporting", "bytes_done": 512, "seconds_left": 95},
            "exporting: 512 B, about 1 min 35 s left",
        ),
    ],
)
def test_reads_as_a_person_would_say_it(state: dict[str, object], text: str) -> None:
    assert describe(state) == text
