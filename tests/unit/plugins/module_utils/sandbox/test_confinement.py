# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.sandbox import confinement
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.sandbox.confinement import (
    Confinement,
    bubblewrap_arguments,
    clean_environment,
    find_bubblewrap,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.sandbox.errors import SandboxError


def arguments(**attributes: object) -> list[str]:
    return bubblewrap_arguments(
        Confinement(**attributes),  # type: ignore[arg-type]
        program="/usr/bin/bwrap",
        information_fd=7,
        wait_fd=8,
    )


def place(vector: list[str], option: str, path: Path | str) -> int:
    return next(
        index for index, pair in enumerate(zip(vector, vector[1:])) if pair == (option, str(path))
    )


def test_the_root_is_readonly_and_devices_are_its_own() -> None:
    vector = arguments()
    assert vector[:8] == [
        "/usr/bin/bwrap",
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
    ]
    for option in ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"):
        assert option in vector
    assert "--die-with-parent" in vector
    assert "--unshare-user" not in vector
    assert "--unshare-all" not in vector
    assert vector[-5:] == ["--info-fd", "7", "--block-fd", "8", "--"]


@pytest.mark.parametrize("directory", ["/tmp", "/var/tmp", "/run"])
def test_binds_come_after_the_tmpfs_that_would_hide_them(directory: str, tmp_path: Path) -> None:
    vector = arguments(writable=[tmp_path])
    assert place(vector, "--tmpfs", directory) < place(vector, "--bind", tmp_path)


def test_a_readonly_file_comes_after_the_writable_directory_around_it(tmp_path: Path) -> None:
    evidence = tmp_path / "a" / "disk.vmdk"
    evidence.parent.mkdir()
    evidence.touch()
    vector = arguments(readonly=[evidence], writable=[tmp_path / "a", tmp_path])
    assert (
        place(vector, "--bind", tmp_path)
        < place(vector, "--bind", tmp_path / "a")
        < place(vector, "--ro-bind", evidence)
    )


def test_what_is_named_twice_is_readonly(tmp_path: Path) -> None:
    vector = arguments(writable=[tmp_path], readonly=[tmp_path])
    assert place(vector, "--bind", tmp_path) < place(vector, "--ro-bind", tmp_path)


def test_a_device_that_is_empty_is_the_null_device() -> None:
    vector = arguments(empty_devices=["sda1", "sda2"])
    at = place(vector, "null", "/dev/sda1")
    assert vector[at - 1 : at + 5] == [
        *("--symlink", "null", "/dev/sda1", "--symlink", "null", "/dev/sda2"),
    ]
    assert vector.index("--dev") < at < vector.index("--info-fd")
    assert "--symlink" not in arguments()


def test_kvm_only_when_asked_for() -> None:
    assert "/dev/kvm" not in arguments()
    assert place(arguments(kvm=True), "--dev-bind", "/dev/kvm")


def test_root_keeps_no_power_over_mounts_and_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    vector = arguments()
    dropped = vector.index("--cap-drop")
    assert vector[dropped + 1] == "ALL"
    kept = [vector[i + 1] for i, option in enumerate(vector) if option == "--cap-add"]
    assert sorted(kept) == ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER"]


def test_an_ordinary_user_asks_for_no_capabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "--cap-add" not in arguments()


def test_credentials_of_the_module_do_not_go_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VMWARE_PASSWORD", "secret")
    environment = clean_environment({"LIBGUESTFS_BACKEND": "direct"})
    assert "VMWARE_PASSWORD" not in environment
    assert environment["LIBGUESTFS_BACKEND"] == "direct"


def test_a_missing_bwrap_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(confinement, "BASE_ENVIRONMENT", {"PATH": str(tmp_path)})
    with pytest.raises(SandboxError, match="Install the package bubblewrap"):
        find_bubblewrap()
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_bubblewrap() == str(program)
