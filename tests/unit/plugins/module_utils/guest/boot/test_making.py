# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How dracut and mkinitcpio are asked for an initramfs, and what is left where it does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.boot.kernels import Kernel
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.boot.making import (
    MakingError,
    make,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.boot.tools import Tool
from ansible_collections.hypersdk.hyper2kvm.tests.support.linux_tree import (
    VERSION,
    GuestWithDracut,
    write,
)

DRACUT, MKINITCPIO = Tool("dracut", "/usr/bin/dracut"), Tool("mkinitcpio", "/usr/bin/mkinitcpio")
INITRAMFS = f"/boot/initramfs-{VERSION}.img"
KERNEL = Kernel(VERSION, f"/boot/vmlinuz-{VERSION}", INITRAMFS, f"/lib/modules/{VERSION}")
OLD = b"the old one"
MIB = 1 << 20


def made(guest: GuestWithDracut, root: Path, tool: Tool = DRACUT) -> list[list[str]]:
    """Make the initramfs anew; returns the tool's own calls, without where it writes."""
    write(root, {INITRAMFS: OLD})
    (root / INITRAMFS.lstrip("/")).chmod(0o600)
    try:
        make(guest, tool, KERNEL, modules=["xfs", "dm_mod"], programs=["lvm"], timeout=10)
    finally:
        assert guest.list("/var/tmp") == []
    return [argv for argv in guest.ran if argv[0] == tool.program]


def test_it_is_made_for_any_machine_in_the_place_of_the_old_one(tmp_path: Path) -> None:
    guest = GuestWithDracut(tmp_path)
    ((_program, *options, new, version),) = made(guest, tmp_path)
    assert options == ["-f", "--no-hostonly", "--no-hostonly-cmdline"]
    assert not new.startswith("/boot")
    assert version == VERSION
    assert len(guest.read(INITRAMFS)) > MIB
    # Of the old one, as the label of SELinux is.
    assert guest.attributes(INITRAMFS).mode == 0o600


def test_where_that_does_not_fit_it_is_made_as_the_guest_has_it(tmp_path: Path) -> None:
    guest = GuestWithDracut(tmp_path, room=MIB)
    _generic, (_program, *options, _new, _version) = made(guest, tmp_path)
    assert options == ["-f", "--add-drivers", "xfs dm_mod", "--add", "lvm"]
    assert 0 < len(guest.read(INITRAMFS)) < MIB


def test_an_old_dracut_is_asked_in_its_own_way(tmp_path: Path) -> None:
    guest = GuestWithDracut(tmp_path, knows_hostonly=False)
    assert len(made(guest, tmp_path)) == 2
    assert guest.read(INITRAMFS) != OLD


def test_where_nothing_fits_the_old_one_is_as_it_was(tmp_path: Path) -> None:
    guest = GuestWithDracut(tmp_path, room=100)
    with pytest.raises(MakingError) as failed:
        made(guest, tmp_path)
    assert guest.read(INITRAMFS) == OLD
    assert guest.attributes(INITRAMFS).mode == 0o600
    message = failed.value.message
    assert f"can't be put in the place of {INITRAMFS} (0.0 MiB), which is as it was" in message
    assert "No space left on device" in message
    assert "Make room on that filesystem" in failed.value.action


def test_mkinitcpio_looks_at_no_hardware_either(tmp_path: Path) -> None:
    guest = GuestWithDracut(tmp_path)
    ((_program, *options),) = made(guest, tmp_path, MKINITCPIO)
    assert options[:2] == ["-S", "autodetect"]
    assert options[-2:] == ["-k", VERSION]
    assert len(guest.read(INITRAMFS)) > MIB


def test_mkinitcpio_where_that_does_not_fit(tmp_path: Path) -> None:
    guest = GuestWithDracut(tmp_path, room=MIB)
    _any, (_program, *options) = made(guest, tmp_path, MKINITCPIO)
    assert "autodetect" not in options
    assert 0 < len(guest.read(INITRAMFS)) < MIB
