# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm import working_copies
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.disks import SourceDisk
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.errors import (
    ConversionError,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.images import QemuImg
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.working_copies import (
    check_space,
    make_working_copy,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vmdk.working_copy import note_copy
from ansible_collections.hypersdk.hyper2kvm.tests.support import stream_optimized

CONTENT = b"\0" * 65536 + os.urandom(65536) + b"\0" * (1 << 20)


@pytest.fixture
def disk(tmp_path: Path) -> SourceDisk:
    raw, vmdk = tmp_path / "disk.raw", tmp_path / "web01-disk1.vmdk"
    raw.write_bytes(CONTENT)
    stream_optimized.write(raw, vmdk, form="esxi")
    return SourceDisk("disk-0", vmdk, "vmdk", 0)


def test_a_stream_optimized_disk_is_decoded(disk: SourceDisk, tmp_path: Path) -> None:
    before = disk.path.read_bytes()
    copied = make_working_copy(disk, tmp_path, QemuImg("none"), 10)
    assert copied.path == tmp_path / "disk-0.raw"
    assert copied.capacity == len(CONTENT)
    assert copied.path.read_bytes() == CONTENT
    assert copied.path.stat().st_blocks * 512 < len(CONTENT)
    assert disk.path.read_bytes() == before


def test_a_used_up_copy_is_made_anew(disk: SourceDisk, tmp_path: Path) -> None:
    (tmp_path / "disk-0.raw").write_bytes(b"fixed by half" * 1000)
    assert make_working_copy(disk, tmp_path, QemuImg("none"), 10).path.read_bytes() == CONTENT


def exported(disk: SourceDisk, checksum: str) -> SourceDisk:
    return replace(disk, checksum=checksum)


def test_the_copy_of_the_export_is_taken_once(disk: SourceDisk, tmp_path: Path) -> None:
    image = tmp_path / "disk-0.raw"
    image.write_bytes(CONTENT)
    note_copy(image, "sha256:aa")
    written = image.stat().st_mtime_ns
    disk = exported(disk, "sha256:aa")
    first = make_working_copy(disk, tmp_path, QemuImg("none"), 10)
    assert first.path.stat().st_mtime_ns == written
    # Whoever got it may write it, so a second one is decoded anew.
    second = make_working_copy(disk, tmp_path, QemuImg("none"), 10)
    assert second.path.stat().st_mtime_ns != written
    assert image.read_bytes() == CONTENT


@pytest.mark.parametrize("checksum", ["sha256:bb", ""])
def test_the_copy_of_another_export_is_not_taken(
    disk: SourceDisk, tmp_path: Path, checksum: str
) -> None:
    image = tmp_path / "disk-0.raw"
    image.write_bytes(b"another machine")
    note_copy(image, "sha256:aa")
    copied = make_working_copy(exported(disk, checksum), tmp_path, QemuImg("none"), 10)
    assert copied.path.read_bytes() == CONTENT


def test_a_copy_that_was_written_is_not_taken(disk: SourceDisk, tmp_path: Path) -> None:
    image = tmp_path / "disk-0.raw"
    image.write_bytes(CONTENT)
    note_copy(image, "sha256:aa")
    with image.open("r+b") as file:
        file.write(b"x")
    disk = exported(disk, "sha256:aa")
    assert make_working_copy(disk, tmp_path, QemuImg("none"), 10).path.read_bytes() == CONTENT


def test_a_cancelled_one_leaves_nothing(disk: SourceDisk, tmp_path: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(ConversionError, match="cancelled"):
        make_working_copy(disk, tmp_path, QemuImg("none"), 10, cancelled)
    assert list(tmp_path.glob("disk-0*")) == []


def test_a_full_filesystem_is_said_before(
    disk: SourceDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_space([disk], tmp_path)
    status = os.statvfs(tmp_path)
    full = os.statvfs_result([*status[:4], 1, *status[5:]])
    monkeypatch.setattr(working_copies.os, "statvfs", lambda _path: full)
    with pytest.raises(ConversionError, match="bytes free") as caught:
        check_space([disk], tmp_path)
    assert caught.value.details["needed_bytes"] == 2 * disk.path.stat().st_size
