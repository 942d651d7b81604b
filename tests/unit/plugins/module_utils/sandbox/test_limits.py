# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limits of a sandbox; a directory stands for the file system of control groups, which few hosts delegate."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.sandbox.limits import (
    Limits,
    control_group,
    join_group,
    limiting_arguments,
)


def test_without_a_wish_only_what_costs_nothing_is_limited() -> None:
    assert limiting_arguments(Limits()) == ["prlimit", "--core=0", "choom", "-n", "500", "--"]


def test_niceness_and_memory() -> None:
    assert limiting_arguments(Limits(nice=7, memory_mb=2)) == [
        *("nice", "-n", "7"),
        *("prlimit", "--core=0", "--as=2097152"),
        *("choom", "-n", "500", "--"),
    ]


@pytest.fixture
def hierarchy(tmp_path: Path) -> Path:
    """Groups as systemd makes them: the session's own group may have no children with controllers."""
    session = tmp_path / "user.slice" / "session-1.scope"
    session.mkdir(parents=True)
    (session / "cgroup.subtree_control").write_text("\n")
    (session.parent / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (tmp_path / "cgroup.subtree_control").write_text("cpu io memory pids\n")
    return tmp_path


def mountinfo(directory: Path, kind: str = "cgroup2") -> str:
    return (
        "22 1 0:20 / /proc rw,nosuid shared:13 - proc proc rw\n"
        f"35 24 0:30 / {directory} rw,nosuid,nodev - {kind} cgroup2 rw,nsdelegate\n"
    )


OWN = "0::/user.slice/session-1.scope\n"


def test_a_group_is_made_where_memory_is_delegated(hierarchy: Path) -> None:
    with control_group(Limits(nice=5, memory_mb=512), mountinfo(hierarchy), OWN) as group:
        assert group is not None
        assert group.parent == hierarchy / "user.slice"
        assert (group / "memory.max").read_text() == f"{512 * 1024 * 1024}\n"
        assert (group / "cpu.weight.nice").read_text() == "5\n"
        join_group(group, 4711)
        assert (group / "cgroup.procs").read_text() == "4711\n"
        # A real group's files go with it.
        for file in group.iterdir():
            file.unlink()
    assert not group.exists()


@pytest.mark.parametrize("kind", ["cgroup", "tmpfs"])
def test_no_group_without_version_2(hierarchy: Path, kind: str) -> None:
    with control_group(Limits(memory_mb=512), mountinfo(hierarchy, kind), OWN) as group:
        assert group is None


def test_no_group_where_nothing_is_delegated(hierarchy: Path) -> None:
    for control in hierarchy.rglob("cgroup.subtree_control"):
        control.write_text("pids\n")
    with control_group(Limits(memory_mb=512), mountinfo(hierarchy), OWN) as group:
        assert group is None


def test_no_group_without_a_limit(hierarchy: Path) -> None:
    with control_group(Limits(nice=5), mountinfo(hierarchy), OWN) as group:
        assert group is None


def test_what_a_killed_module_left_is_removed(hierarchy: Path) -> None:
    left = hierarchy / "user.slice" / "hypersdk-hyper2kvm-99999999-00"
    used = hierarchy / "user.slice" / "hypersdk-hyper2kvm-1-00"
    left.mkdir()
    used.mkdir()
    with control_group(Limits(memory_mb=512), mountinfo(hierarchy), OWN) as group:
        assert group is not None
        for file in group.iterdir():
            file.unlink()
    assert not left.exists()
    assert used.exists()
