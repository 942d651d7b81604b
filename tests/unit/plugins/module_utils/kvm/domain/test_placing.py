# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pwd
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain import placing
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.errors import (
    DomainError,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.hypervisor import Pool
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.placing import Placed
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.machine import Disk
from ansible_collections.hypersdk.hyper2kvm.tests.unit.plugins.module_utils.kvm.domain.asked import (
    request,
)

CONTENT = b"a disk" + bytes(1 << 20) + b"its end"


@pytest.fixture
def disk(tmp_path: Path) -> Placed:
    (tmp_path / "out").mkdir()
    (tmp_path / "pool").mkdir()
    source = tmp_path / "out" / "disk-0.qcow2"
    source.write_bytes(CONTENT)
    asked = request(placement="move", pool="images")
    pool = Pool("images", tmp_path / "pool", 1 << 40)
    return placing.planned([Disk(source, "qcow2")], 0, asked, pool)[0]


def test_a_place_bears_the_domains_name(disk: Placed) -> None:
    assert (disk.id, disk.target.name) == ("disk-0", "web01-disk-0.qcow2")


@pytest.mark.parametrize("placement", ["move", "copy"])
def test_there_and_back(disk: Placed, placement: str) -> None:
    placing.place(disk, placement)
    assert disk.target.read_bytes() == CONTENT
    assert disk.source.exists() is (placement == "copy")
    # An interrupted run comes here again.
    placing.place(disk, placement)
    assert placing.take_back(disk, placement) is True
    assert disk.source.read_bytes() == CONTENT
    assert not disk.target.exists()
    assert placing.take_back(disk, placement) is False


def test_a_move_between_filesystems_is_a_copy(
    disk: Placed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "rename", refuse)
    placing.place(disk, "move")
    assert disk.target.read_bytes() == CONTENT
    assert not disk.source.exists()
    assert [path.name for path in disk.target.parent.iterdir()] == [disk.target.name]


def test_two_disks_for_one_place(disk: Placed) -> None:
    placing.place(disk, "move")
    disk.source.write_text("converted anew")
    with pytest.raises(DomainError, match="there is another file"):
        placing.take_back(disk, "move")
    assert disk.target.read_bytes() == CONTENT


def test_a_pool_that_is_full(disk: Placed) -> None:
    small = Pool("images", disk.target.parent, 4096)
    with pytest.raises(DomainError, match="has 4096 bytes left"):
        placing.check([disk], request(placement="copy", pool="images"), small)
    # On one filesystem a move takes no space.
    placing.check([disk], request(placement="move", pool="images"), small)


def test_a_directory_that_qemus_user_cannot_enter(disk: Placed) -> None:
    disk.target.parent.chmod(0o700)
    for user in (None, 0, disk.target.parent.stat().st_uid):
        placing.check_reachable([disk], user)
    with pytest.raises(DomainError, match="has mode 0700"):
        placing.check_reachable([disk], 64055)


def test_a_directory_that_is_open_to_a_group_of_qemus_user(
    disk: Placed, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pytest's own directories are open to nobody else.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        directory = Path(name)
        directory.chmod(0o710)
        placed = [replace(disk, target=directory / "disk.qcow2")]
        group = directory.stat().st_gid
        monkeypatch.setattr(placing, "_groups_of", lambda _user: (group + 1,))
        with pytest.raises(DomainError, match="has mode 0710"):
            placing.check_reachable(placed, 64055)
        monkeypatch.setattr(placing, "_groups_of", lambda _user: (group,))
        placing.check_reachable(placed, 64055)


def test_the_groups_of_a_user() -> None:
    assert pwd.getpwuid(0).pw_gid in placing._groups_of(0)
    assert placing._groups_of(4242424) == ()
