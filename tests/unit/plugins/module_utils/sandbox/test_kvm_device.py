# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.sandbox.kvm_device import kvm_works


def test_no_device(tmp_path: Path) -> None:
    assert not kvm_works(tmp_path / "kvm")


def test_a_file_in_its_place(tmp_path: Path) -> None:
    device = tmp_path / "kvm"
    device.touch()
    assert not kvm_works(device)


def test_another_device() -> None:
    assert not kvm_works(Path("/dev/null"))
