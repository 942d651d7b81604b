# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run hyper2kvm_convert, and look at what it makes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import cache_dir
from ansible_collections.hypersdk.hyper2kvm.tests.support.exported import Exported
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module

#: The stages without FIX, which take seconds.
WITHOUT_FIX = ["inspect", "convert", "validate"]


class Convert:
    """Runs the module with the hyper2kvm that the role conversion_host installed."""

    def __init__(self, executable: Path) -> None:
        self.executable = executable

    def options(self, vm: Exported, **options: Any) -> dict[str, Any]:
        return {
            "manifest": str(vm.manifest),
            "executable": str(self.executable),
            "environment": {"LIBGUESTFS_CACHEDIR": str(cache_dir("appliance"))},
            **options,
        }

    def __call__(self, vm: Exported, *, check: bool = False, **options: Any) -> dict[str, Any]:
        return run_module("hyper2kvm_convert", self.options(vm, **options), check=check)


def is_same(first: Path, second: Path) -> bool:
    """Tell whether two images hold the same disk."""
    command = ["qemu-img", "compare", "-q", str(first), str(second)]
    return subprocess.run(command, check=False).returncode == 0
