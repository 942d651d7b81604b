# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""On logs of real runs of hyper2kvm 0.2.1, see logs/."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.log import (
    Progress,
    RunLog,
)

LOGS = Path(__file__).parent / "logs"
WARNING = "18:07:27 ⚠️ WARNING  [proc=MainProcess] "


def read(name: str) -> tuple[RunLog, list[Progress]]:
    log, seen = RunLog(), []
    for line in (LOGS / name).read_text(encoding="utf-8").splitlines():
        if log.take(line):
            seen.append(log.progress)
    return log, seen


def test_an_exported_vmdk_that_fix_could_not_write() -> None:
    log, _seen = read("exported-vmdk.txt")
    assert log.failed_edits == [
        "Stage failed: rewrite_fstab: internal_write: open: /etc/fstab: Read-only file system"
    ]
    assert log.warnings == ["⚠️  Size mismatch!"]


def test_a_working_copy_that_fix_wrote() -> None:
    log, _seen = read("working-copy.txt")
    assert log.failed_edits == []
    assert log.warnings == []


def test_stages_and_percent() -> None:
    log, seen = read("exported-vmdk.txt")
    stages = [progress.stage for progress in seen]
    assert list(dict.fromkeys(stages)) == ["load_manifest", "inspect", "fix", "convert", "validate"]
    converting = [progress for progress in seen if progress.disk]
    assert converting[0] == Progress("convert", "disk-0", 0.0)
    assert converting[-1] == Progress("convert", "disk-0", 100.0)
    assert str(converting[-1]) == "convert, disk-0 at 100 %"
    assert str(log.progress) == "validate"
    assert str(Progress()) == "its start"


@pytest.mark.parametrize(
    "message",
    [
        "Stage failed: fix_network: boom",
        "   ⚠️ Failed to write fstab: No space left on device",
        "Failed to apply fix to /etc/netplan/50.yaml: boom",
    ],
)
def test_failed_edits(message: str) -> None:
    log = RunLog()
    log.take(WARNING + message)
    assert log.failed_edits == [message.strip()]


def test_an_error_is_a_failed_edit_whatever_it_says() -> None:
    log = RunLog()
    log.take("18:07:27 💥 ERROR    [proc=MainProcess] something new")
    assert log.failed_edits == ["something new"]


@pytest.mark.parametrize(
    "message",
    [
        "Guest inspection failed: name 'guestfs' is not defined",
        "   ⚠️  Failed to rebuild initramfs: 'GuestFS' object has no attribute 'command_with_mounts'",
        "👤 user-config: no users, disable_users, or delete_users provided",
        "Command failed: xfs_admin -U generate /dev/sda2",
        "Command failed: mount -o ro,subvolid=5 /dev/sda1 /srv/scratch/hyper2kvm-btrfs-6jlj3q10",
        "Could not list btrfs subvolumes using host command: Command failed: mount -o ro",
        "Error processing /etc/network/interfaces.d/a: fix_interfaces() got an unexpected keyword",
        "Error processing /etc/systemd/network/30-bond0.netdev: 'NetworkFixersBackend' object has"
        " no attribute 'fix_systemd_netdev'",
        "Validation failed for /etc/netplan/50-cloud-init.yaml: ['x']",
        "✗ Failed to apply fixes to /etc/netplan/50-cloud-init.yaml",
        "  ✗ FAILED to map by-path device: /dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:1:0-part1",
        "  ⚠️  Failed to regenerate UUID for /dev/sda2: Command failed: xfs_admin -U generate /dev/sda2",
    ],
)
def test_harmless_warnings_are_not_kept(message: str) -> None:
    log = RunLog()
    log.take(WARNING + message)
    assert (log.failed_edits, log.warnings) == ([], [])


def test_a_guest_s_text_is_no_failure() -> None:
    log = RunLog()
    log.take("18:07:27 ✅ INFO     [proc=MainProcess]     3: # Read-only file system below")
    log.take("Failed to write in a file that the log quotes")
    assert log.failed_edits == []


def test_memory_stays_bounded() -> None:
    log = RunLog()
    for number in range(10_000):
        log.take(f"{WARNING}Stage failed: {number}")
    assert len(log.failed_edits) == 50
