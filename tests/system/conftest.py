# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What several system tests start from: a simulated vCenter and the conversion host's programs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support import small_vms
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim


def _set_up(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        raise pytest.UsageError(f"{variable} is not set: run these tests with `make system`.")
    return Path(value)


@pytest.fixture(scope="session")
def conversion_python() -> Path:
    """The interpreter that the role conversion_host prepared."""
    return _set_up("HYPER2KVM_PYTHON")


@pytest.fixture(scope="session")
def hyper2kvm_executable() -> Path:
    """The hyper2kvm that the role conversion_host installed."""
    return _set_up("HYPER2KVM_EXECUTABLE")


@pytest.fixture(scope="session")
def peer_collections() -> Path:
    """A collections path with community.vmware."""
    return _set_up("HYPER2KVM_PEERS")


@pytest.fixture(scope="session")
def small_inventory(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """VMs with disks of a few MiB."""
    return small_vms.make(tmp_path_factory.mktemp("small-vms"))


@pytest.fixture
def small_vcenter(small_inventory: dict[str, Any]) -> Iterator[Vcsim]:
    """A vCenter of its own for each test, with the small VMs."""
    with Vcsim(small_inventory) as vcenter:
        yield vcenter
