# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.export.fetching import (
    working_copy_of,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.export.record import ExportedFile
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.export.request import ExportRequest
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.export.space import needed_bytes
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vmdk.working_copy import note_copy
from ansible_collections.hypersdk.hyper2kvm.tests.unit.plugins.module_utils.export.machines import (
    disk,
    vm,
)

VM = vm(disk(0, used=100), disk(1, used=30))
KEPT = {"web01-disk1.vmdk": ExportedFile("web01-disk1.vmdk", "disk", 60, "sha256:aa")}


def test_all_is_needed_where_nothing_is_kept(tmp_path: Path) -> None:
    assert needed_bytes(VM, ExportRequest(tmp_path), {}) == 130
    assert needed_bytes(VM, ExportRequest(tmp_path, working_copies=True), {}) == 260
    assert needed_bytes(VM, ExportRequest(tmp_path, ova=True), {}) == 130 + 100


def test_what_is_kept_needs_no_room_again(tmp_path: Path) -> None:
    assert needed_bytes(VM, ExportRequest(tmp_path), KEPT) == 30
    assert needed_bytes(VM, ExportRequest(tmp_path, ova=True), KEPT) == 30 + 60


def test_a_fresh_working_copy_needs_none_either(tmp_path: Path) -> None:
    request = ExportRequest(tmp_path, working_copies=True)
    assert needed_bytes(VM, request, KEPT) == 30 + 130
    copy = working_copy_of(request, 0)
    copy.parent.mkdir()
    copy.write_bytes(b"disk")
    note_copy(copy, "sha256:aa")
    assert needed_bytes(VM, request, KEPT) == 30 + 30
