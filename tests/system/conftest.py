# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What several system tests start from: a simulated vCenter and the conversion host's programs."""

from __future__ import annotations

import os
import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ansible
import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support import (
    exported,
    small_vms,
    stream_optimized,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.converting import Convert
from ansible_collections.hypersdk.hyper2kvm.tests.support.domain_vms import DomainVm
from ansible_collections.hypersdk.hyper2kvm.tests.support.exported import Exported
from ansible_collections.hypersdk.hyper2kvm.tests.support.libvirtd import Libvirtd
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


@pytest.fixture(scope="session")
def libvirtd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Libvirtd]:
    """A libvirtd with two networks and a pool, for all tests: each names its own domains."""
    with Libvirtd(tmp_path_factory.mktemp("libvirtd")) as daemon:
        daemon.add_network("lan", 1)
        daemon.add_network("dmz", 2)
        daemon.add_pool("images")
        (daemon.directory / "python").mkdir()
        (daemon.directory / "python" / "ansible").symlink_to(Path(ansible.__file__).parent)
        yield daemon


@pytest.fixture
def vm(
    tmp_path: Path, libvirtd: Libvirtd, conversion_python: Path, request: pytest.FixtureRequest
) -> Iterator[DomainVm]:
    """A VM of the test's own name; what is defined of it goes with the test."""
    name = re.sub(r"\W+", "-", request.node.name.removeprefix("test_")).strip("-")
    machine = DomainVm(tmp_path / name, libvirtd, conversion_python)
    yield machine
    if machine.defined():
        machine.run(state="absent")


@pytest.fixture(scope="session")
def small_disks(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two stream-optimized disks of 4 MiB, in ESXi's and in qemu-img's form."""
    directory = tmp_path_factory.mktemp("small")
    disks = []
    for number, form in enumerate(("esxi", "qemu")):
        raw, vmdk = directory / f"{number}.raw", directory / f"{number}.vmdk"
        content = random.Random(number).randbytes(1 << 20)
        raw.write_bytes((bytes(1 << 20) + content).ljust(4 << 20, b"\0"))
        if form == "esxi":
            stream_optimized.write(raw, vmdk, form=form)
        else:
            command = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk"]
            subprocess.run([*command, "-o", "subformat=streamOptimized", raw, vmdk], check=True)
        disks.append(vmdk)
    return disks


@pytest.fixture
def small(small_disks: list[Path], tmp_path: Path) -> Exported:
    """A VM's directory with these disks."""
    return exported.make(tmp_path / "web01", small_disks)


@pytest.fixture(scope="session")
def convert(hyper2kvm_executable: Path) -> Convert:
    """The module with the hyper2kvm that the role conversion_host installed."""
    return Convert(hyper2kvm_executable)
