# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A conversion changes nothing of its host, whatever hyper2kvm and the guest try.

hyper2kvm 0.2.1 runs xfs_admin, fsck.ext4 and mount on the host with the guest's device names. The
disks that it may find there are this test's own, in a mount namespace of the test's own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support import (
    exported,
    host_disks,
    tiny_guest,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import cache_dir
from ansible_collections.hypersdk.hyper2kvm.tests.support.exported import Exported
from ansible_collections.hypersdk.hyper2kvm.tests.support.host_disks import HostDisks
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import (
    COLLECTIONS_ROOT,
    run_module,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.processes import is_gone

pytestmark = pytest.mark.emulated

MODULE = "ansible_collections.hypersdk.hyper2kvm.plugins.modules.hyper2kvm_convert"
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


# What a guest may put in the place of files that FIX writes: where they lead, from /etc, and whether
# hyper2kvm takes what is left for a system. One whose fstab is a link is none to libguestfs.
CLIMBING_LINKS = {
    "directories": {
        "etc/initramfs-tools": "{victims}/initramfs-tools",
        "etc/systemd/network": "../../../../..{victims}/network",
        "etc/network/interfaces": "{victims}/interfaces",
        "etc/default/grub": "../../../../..{victims}/grub",
    },
    "fstab": {"etc/fstab": "../../../..{victims}/fstab"},
}


def own_files(directory: Path) -> dict[str, bytes]:
    """Return the content of a directory's files; /etc/mtab, a link, leads to what every test changes."""
    files = [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]
    return {str(path): path.read_bytes() for path in files}


@pytest.mark.parametrize("links", CLIMBING_LINKS)
def test_links_of_the_guest_that_climb_out_change_nothing(
    hyper2kvm_executable: Path, tmp_path: Path, links: str
) -> None:
    """They lead to the one directory of the host that hyper2kvm may write, and exist in the guest too."""
    directory = tmp_path / "web01"
    victims = directory / "out" / "victims"
    contents = {
        "fstab": "/dev/sda1 / ext4 defaults 0 1\n/dev/sdb1 /srv ext4 defaults 0 2\n",
        "initramfs-tools/modules": "ext4\n",
        "initramfs-tools/initramfs.conf": "MODULES=most\n",
        "network/10-lan.network": "[Match]\nMACAddress=00:50:56:00:00:01\n\n[Network]\nDHCP=no\n",
        "interfaces": "auto ens192\niface ens192 inet dhcp\n",
        "grub": 'GRUB_CMDLINE_LINUX="root=/dev/sda1"\n',
    }
    disk = tmp_path / "tiny.raw"
    tiny_guest.make(
        disk,
        {f"{str(victims)[1:]}/{name}": content for name, content in contents.items()},
        {name: to.format(victims=victims) for name, to in CLIMBING_LINKS[links].items()},
    )
    vm = exported.make(directory, [disk])
    for name, content in contents.items():
        (victims / name).parent.mkdir(parents=True, exist_ok=True)
        (victims / name).write_text(content)
    etc = own_files(Path("/etc"))
    run_module("hyper2kvm_convert", options(vm, hyper2kvm_executable, stages=["fix"]))
    # Whatever came of it, FIX wrote where there was a system to fix.
    fixed = "/etc/fstab updated" in (vm.out / "hyper2kvm.log").read_text()
    assert fixed is (links == "directories")
    left = {str(path.relative_to(victims)) for path in victims.rglob("*") if path.is_file()}
    assert left == set(contents)
    assert {name: (victims / name).read_text() for name in contents} == contents
    assert own_files(Path("/etc")) == etc


def state_of_the_host() -> dict[str, Any]:
    """Return what a conversion might leave behind: mounts, loop devices, device-mapper's."""
    return {
        "mounts": Path("/proc/self/mounts").read_text(),
        "loops": sorted(
            str(path) for path in Path("/sys/block").glob("loop*") if (path / "loop").exists()
        ),
        "mapper": sorted(path.name for path in Path("/sys/block").glob("dm-*")),
    }


def appliances_of(vm: Exported) -> list[int]:
    """Return the PIDs of the QEMUs that have a disk of this VM."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if arguments.split(b"\0")[0].endswith(b"qemu-system-x86_64") and (
            str(vm.directory).encode() in arguments
        ):
            found.append(int(process.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_module_that_is_killed_leaves_no_appliance(
    vm: Exported, hyper2kvm_executable: Path, number: signal.Signals
) -> None:
    before = state_of_the_host()
    module = subprocess.Popen(
        [sys.executable, "-m", MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(COLLECTIONS_ROOT)},
        text=True,
    )
    try:
        assert module.stdin is not None
        module.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": options(vm, hyper2kvm_executable)}))
        module.stdin.close()
        deadline = time.monotonic() + 90
        while not appliances_of(vm) and time.monotonic() < deadline:
            time.sleep(0.2)
        running = appliances_of(vm)
        assert running
        module.send_signal(number)
        module.wait(60)
        assert all(is_gone(pid) for pid in running)
        assert appliances_of(vm) == []
        assert state_of_the_host() == before
    finally:
        module.kill()
        module.wait()
    assert vm.is_untouched() or number == signal.SIGKILL


@pytest.fixture
def small_filesystem(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MiB."""
    directory = tmp_path / "small"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", directory], check=True)
    try:
        yield directory
    finally:
        # Fails when anything still runs in there.
        subprocess.run(["umount", directory], check=True)


@pytest.mark.parametrize(
    ("size", "words"),
    [(16, "could not be written: No space left on device"), (8, "No space left on device")],
    ids=["copying", "converting"],
)
def test_a_full_disk_leaves_nothing(
    hyper2kvm_executable: Path, small_filesystem: Path, tmp_path: Path, size: int, words: str
) -> None:
    """Of 16 MiB not even the copy fits, of 8 MiB the converted disk beside it does not."""
    raw, disk = tmp_path / "disk.raw", tmp_path / "disk.vmdk"
    raw.write_bytes(b"easily compressed" * (size * MIB // 17))
    with raw.open("r+b") as file:
        file.truncate(size * MIB)
    command = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized"]
    subprocess.run([*command, raw, disk], check=True)
    vm = exported.make(small_filesystem / "web01", [disk])
    before = state_of_the_host()
    result = run_module(
        "hyper2kvm_convert",
        options(vm, hyper2kvm_executable, stages=["convert"], compress=False),
    )
    assert result["failed"] is True
    log = vm.out / "hyper2kvm.log"
    assert words in result["msg"] + (log.read_text() if log.exists() else "")
    assert list(vm.out.glob("disk-0*")) == []
    assert vm.is_untouched()
    assert state_of_the_host() == before
