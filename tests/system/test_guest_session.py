# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest's disks in libguestfs' appliance, in the sandbox: what is seen, and what is not written.

That a guest is repaired with its own tools and boots is shown with guests that hyper2kvm leaves
broken (tests/guests).
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.appliance import Disk
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.session import GuestSession
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.environment import (
    CACHE_VARIABLE,
    hyper2kvm_environment,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.sandbox.kvm_device import kvm_works
from ansible_collections.hypersdk.hyper2kvm.tests.guests import debian_bios
from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import cache_dir
from ansible_collections.hypersdk.hyper2kvm.tests.support.registry_hive import Key, make_hive

pytestmark = pytest.mark.emulated

# A header of a program for 64-bit Windows, by which libguestfs tells the architecture.
_PROGRAM = (
    b"MZ".ljust(60, b"\0")
    + (64).to_bytes(4, "little")
    + b"PE\0\0\x64\x86\x01\0".ljust(20, b"\0")
    + b"\xf0\0\x22\0\x0b\x02".ljust(512, b"\0")
)
_MIB = 1 << 20


@pytest.fixture
def session(conversion_python: Path, tmp_path: Path) -> GuestSession:
    kvm = kvm_works()
    environment = hyper2kvm_environment({CACHE_VARIABLE: str(cache_dir("appliance"))}, kvm=kvm)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return GuestSession(
        interpreter=conversion_python,
        directories=[conversion_python.parents[1]],
        scratch=scratch,
        cache=Path(environment[CACHE_VARIABLE]),
        environment=environment,
        kvm=kvm,
    )


def test_a_guest_that_was_not_fixed(session: GuestSession) -> None:
    guest = debian_bios.build()
    # The exported disks are read as they are; the cached ones, which must stay, are the copies.
    exported = [Disk(str(guest.boot_disk), "vmdk"), Disk(str(guest.data_disk), "vmdk")]
    reading = session.read(exported, timeout=600)
    assert reading.system == "linux"
    assert reading.document["system"]["name"].startswith("Debian GNU/Linux 12")
    # The data disk is none of the system's, so nothing will be written to it.
    assert reading.disks == (0,)
    assert reading.findings == ()

    copies = [Disk(str(disk.raw), "raw") for disk in (guest.boot, guest.data)]
    before = [disk.raw.stat().st_mtime_ns for disk in (guest.boot, guest.data)]
    seen = session.repair(
        copies,
        reading,
        firmware="bios",
        repair=False,
        guest_network="hyper2kvm",
        timeout=600,
    )
    assert [disk.raw.stat().st_mtime_ns for disk in (guest.boot, guest.data)] == before
    assert seen.repairs == ()
    messages = " ".join(finding.message for finding in seen.findings)
    assert "has no virtio_pci" in messages
    for name in ("/dev/sda1 as the filesystem on /", "/dev/sdb1 as the filesystem on /srv/data"):
        assert f"/etc/fstab names {name}" in messages
    assert "/boot/grub/grub.cfg names /dev/sda1 as the root filesystem" in messages
    (kernel,) = seen.guest["kernels"]
    assert not kernel["boots_on_virtio"]
    assert seen.guest["drivers"][kernel["version"]]["virtio_blk"] == "on disk only"
    assert seen.guest["initramfs_rebuilt"] == []
    assert seen.guest["root"]["type"] == "ext4"


def windows_disk(path: Path, services: Key) -> Disk:
    """Make a disk with as much of Windows as is looked at; FAT, since nothing here makes an NTFS."""
    tree = path.with_suffix(".tree")
    configuration = tree / "Windows/System32/config"
    configuration.mkdir(parents=True)
    (tree / "Windows/System32/drivers").mkdir()
    (tree / "Windows/System32/cmd.exe").write_bytes(_PROGRAM)
    (tree / "Windows/System32/drivers/viostor.sys").write_bytes(_PROGRAM)
    system: Key = {
        "Select": {"Current": 2, "Default": 2},
        # What was in force once, and a boot does not take.
        "ControlSet001": {"Services": {"viostor": {"Start": 4}}},
        "ControlSet002": {"Services": services, "Control": {}},
    }
    version: Key = {"ProductName": "Windows Server 2022", "CurrentVersion": "10.0"}
    software: Key = {"Microsoft": {"Windows NT": {"CurrentVersion": version}}}
    (configuration / "SYSTEM").write_bytes(make_hive(system))
    (configuration / "SOFTWARE").write_bytes(make_hive(software))
    with path.open("wb") as file:
        file.truncate(66 * _MIB)
    table = "label: dos\nstart=1MiB,size=64MiB,type=c\n"
    subprocess.run(["sfdisk", "-q", path], input=table, text=True, check=True)
    make = ["mkfs.vfat", "-F", "32", "--offset", str(_MIB // 512), str(path), str(64 * 1024)]
    subprocess.run(make, check=True, capture_output=True)
    copy = ["mcopy", "-s", "-i", f"{path}@@1M", str(tree / "Windows"), "::"]
    subprocess.run(copy, check=True)
    return Disk(str(path), "raw")


VIOSTOR: Key = {
    "Start": 0,
    "Group": "SCSI miniport",
    "ImagePath": "\\SystemRoot\\System32\\drivers\\viostor.sys",
}


@pytest.mark.parametrize(
    ("services", "said"),
    [
        ({"viostor": VIOSTOR}, ""),
        ({"viostor": {**VIOSTOR, "Start": 3}}, "viostor: its service has Start=3 instead of 0"),
    ],
)
def test_windows_drivers(session: GuestSession, tmp_path: Path, services: Key, said: str) -> None:
    disks = [windows_disk(tmp_path / "windows.raw", services)]
    reading = session.read(disks, timeout=600)
    assert reading.system == "windows"
    seen = session.repair(
        disks, reading, firmware="bios", repair=True, guest_network="keep", timeout=600
    )
    assert seen.guest["os"]["name"] == "Windows Server 2022"
    assert seen.repairs == ()
    messages = [finding.message for finding in seen.findings]
    if not said:
        assert messages == []
        assert seen.guest["drivers"]["viostor"]["file"] is True
    else:
        (message,) = messages
        assert "will not find its disk" in message
        assert said in message
