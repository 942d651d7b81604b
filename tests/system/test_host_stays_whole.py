# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A conversion changes nothing of its host, whatever hyper2kvm and the guest try.

hyper2kvm 0.2.1 runs xfs_admin, fsck.ext4 and mount on the host with the guest's device names. The
disks that it may find there are this test's own, in a mount namespace of the test's own.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support import exported, host_disks
from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import cache_dir
from ansible_collections.hypersdk.hyper2kvm.tests.support.exported import Exported
from ansible_collections.hypersdk.hyper2kvm.tests.support.host_disks import HostDisks
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module

MIB = 1 << 20
XFS, EXT4, BTRFS = 0, 1, 2


@pytest.fixture(scope="session")
def guest_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk whose partitions take FIX to each of the programs that it runs on its host.

    XFS, to be given another UUID; an ext4 that can't be mounted, to be repaired; a btrfs, whose
    subvolumes are to be listed. There is no system on it, so that FIX tries them all, and fails.
    """
    directory = tmp_path_factory.mktemp("guest")
    partitions = host_disks.make_filesystems(directory / "partitions")
    command = ["debugfs", "-w", "-R", "set_super_value journal_inum 4000000", partitions[EXT4]]
    subprocess.run(command, check=True, capture_output=True)
    disk, start, table = directory / "disk.raw", 1, "label: dos\n"
    with disk.open("wb") as file:
        file.truncate(512 * MIB)
    for partition in partitions:
        size = partition.stat().st_size // MIB
        table += f"start={start}MiB,size={size}MiB,type=83\n"
        copy = ["dd", f"if={partition}", f"of={disk}", "bs=1M", f"seek={start}"]
        subprocess.run([*copy, "conv=notrunc,sparse", "status=none"], check=True)
        start += size
    subprocess.run(["sfdisk", "-q", disk], input=table, text=True, check=True)
    return disk


@pytest.fixture
def vm(guest_disk: Path, tmp_path: Path) -> Exported:
    return exported.make(tmp_path / "web01", [guest_disk])


@pytest.fixture
def host(tmp_path: Path) -> Iterator[HostDisks]:
    with host_disks.attached(host_disks.make_filesystems(tmp_path / "host")) as disks:
        yield disks


def options(vm: Exported, executable: Path, **more: Any) -> dict[str, Any]:
    return {
        "manifest": str(vm.manifest),
        "executable": str(executable),
        "environment": {"LIBGUESTFS_CACHEDIR": str(cache_dir("appliance"))},
        **more,
    }


def changed_disks(
    vm: Exported, host: HostDisks, executable: Path, isolation: str
) -> tuple[set[int], str]:
    """Convert while the host's disks bear the guest's names; returns those that changed, and the log."""
    before = host.digests()
    result = run_module(
        "hyper2kvm_convert",
        options(vm, executable, isolation=isolation, stages=["fix"]),
        prefix=host.prefix,
    )
    assert result["failed"] is True
    after = host.digests()
    log = (vm.out / "hyper2kvm.log").read_text()
    return {index for index in range(3) if before[index] != after[index]}, log


def test_disks_of_the_host_that_bear_the_guest_s_names_stay_as_they_are(
    vm: Exported, host: HostDisks, hyper2kvm_executable: Path
) -> None:
    changed, log = changed_disks(vm, host, hyper2kvm_executable, "bubblewrap")
    assert changed == set()
    assert "xfs_admin -U generate /dev/sda1" in log


def test_without_isolation_they_are_changed(
    vm: Exported, host: HostDisks, hyper2kvm_executable: Path
) -> None:
    """What the isolation is for, and that the test above could fail."""
    changed, log = changed_disks(vm, host, hyper2kvm_executable, "none")
    assert XFS in changed
    assert EXT4 in changed
    assert "Attempting fsck for ext4 partition /dev/sda2" in log
    assert "Discovering btrfs subvolumes on /dev/sda3" in log
