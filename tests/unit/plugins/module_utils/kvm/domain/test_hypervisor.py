# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shutil
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.hypervisor import (
    Hypervisor,
)


class StalePool:
    """A pool whose space libvirt looked at when it was full."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def storagePoolLookupByName(self, _name: str) -> StalePool:
        return self

    def isActive(self) -> bool:
        return True

    def XMLDesc(self) -> str:
        return f"<pool type='dir'><target><path>{self._directory}</path></target></pool>"

    def info(self) -> list[int]:
        return [2, 1 << 40, 1 << 40, 0]


def test_the_space_of_a_pool_is_what_is_free_now(tmp_path: Path) -> None:
    hypervisor = Hypervisor("qemu:///system")
    hypervisor._connection = StalePool(tmp_path)
    pool = hypervisor.pool("images")
    assert pool.directory == tmp_path
    assert 0 < pool.available <= shutil.disk_usage(tmp_path).total
