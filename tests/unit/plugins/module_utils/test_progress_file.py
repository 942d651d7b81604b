# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import time
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.progress_file import (
    State,
    progress_written,
)


def test_tells_rate_and_time_left_while_it_runs(tmp_path: Path) -> None:
    path, percent = tmp_path / "progress.json", 0

    def look() -> State:
        return State("exporting", percent, percent << 20)

    with progress_written(path, look):
        assert json.loads(path.read_text())["stage"] == "exporting"
        percent = 50
        time.sleep(1.5)
        state = json.loads(path.read_text())
        assert state["bytes_per_second"] > 0 and state["seconds_left"] > 0
    assert not path.exists()


def test_an_unwritable_file_stops_nothing(tmp_path: Path) -> None:
    with progress_written(tmp_path / "missing" / "progress.json", lambda: State("exporting")):
        done = True
    assert done
