# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An export takes the same memory whatever the size of the disk."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.benchmark import measure
from ansible_collections.hypersdk.hyper2kvm.tests.support import compressible, exporting
from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import built, keyed
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim

MODULE = Path(measure.__file__).with_name("module_alone.py")
SMALL, LARGE = 16 << 20, 256 << 20
MOST = 120  # MiB


def disk(capacity: int) -> Path:
    def build(place: Path) -> None:
        compressible.write(place / "disk.vmdk", capacity)

    key = keyed("memory", Path(compressible.__file__), str(capacity))
    return built(key, build) / "disk.vmdk"


def inventory(capacity: int) -> dict[str, Any]:
    return {"vms": [{"name": "small01", "disks": [{"path": str(disk(capacity))}], "nics": []}]}


@pytest.mark.parametrize("working_copies", [False, True])
def test_memory_is_the_same_for_a_small_and_a_large_disk(
    tmp_path: Path, working_copies: bool
) -> None:
    peaks = []
    for capacity in (SMALL, LARGE):
        with Vcsim(inventory(capacity)) as vcenter:
            arguments = tmp_path / f"{capacity}.json"
            options = exporting.options(
                vcenter, tmp_path / str(capacity), working_copies=working_copies
            )
            arguments.write_text(json.dumps(options))
            command = [sys.executable, str(MODULE), str(arguments)]
            peaks.append(measure.run(command, tmp_path / "log").peak_mib)
    small, large = peaks
    assert large < MOST
    assert large < small * 1.1
