# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.export.record import (
    FILE_NAME,
    ExportedFile,
    Record,
    identity_of,
    is_intact,
    read_record,
    write_record,
)
from ansible_collections.hypersdk.hyper2kvm.tests.unit.plugins.module_utils.export.machines import (
    disk,
    vm,
)

FILE = ExportedFile("web01-disk1.vmdk", "disk", 4, "sha256:aa", 2000)
RECORD = Record(identity_of(vm(disk(0)), "vc"), "sha256", True, 1.5, 4, (FILE,), ("nvram",))


def test_comes_back_as_it_was(tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    assert read_record(tmp_path) == RECORD


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"form": 9}', '{"form": 1, "files": 3}'])
def test_what_cannot_be_read_is_no_record(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    assert read_record(tmp_path) is None


@pytest.mark.parametrize(
    "changed",
    [
        vm(disk(0), change_version="2"),
        vm(disk(0, content_id="ffffffff")),
        vm(disk(0, capacity=2 << 20)),
        vm(disk(0), disk(1)),
        vm(disk(0, file="[ds1] web01/web01-000001.vmdk")),
        vm(disk(0), instance_uuid="other"),
    ],
)
def test_whatever_may_change_the_disks_changes_the_identity(changed: object) -> None:
    assert not RECORD.is_of(identity_of(changed, "vc"), "sha256")  # type: ignore[arg-type]


def test_what_nobody_can_tell_apart_is_not_the_same() -> None:
    unknown = identity_of(vm(disk(0), disk(1, content_id="")), "vc")
    assert not replace(RECORD, identity=unknown).is_of(unknown, "sha256")
    # Nobody writes to the disks of a snapshot.
    through = {**unknown, "snapshot": "snapshot-7"}
    assert replace(RECORD, identity=through).is_of(through, "sha256")


def test_a_rename_or_another_host_does_not() -> None:
    moved = replace(vm(disk(0)), name="web02", host="esxi09")
    assert RECORD.is_of(identity_of(moved, "vc"), "sha256")
    assert not RECORD.is_of(identity_of(moved, "vc"), "sha1")


def test_a_file_is_intact_by_kind_and_size(tmp_path: Path) -> None:
    path = tmp_path / FILE.name
    assert not is_intact(tmp_path, FILE)
    path.write_bytes(b"1234")
    assert is_intact(tmp_path, FILE)
    path.write_bytes(b"12345")
    assert not is_intact(tmp_path, FILE)
    path.unlink()
    (tmp_path / "elsewhere").write_bytes(b"1234")
    path.symlink_to(tmp_path / "elsewhere")
    assert not is_intact(tmp_path, FILE)
