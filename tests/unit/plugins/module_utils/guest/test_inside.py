# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.inside import no_system


def test_why_there_is_no_system() -> None:
    plain = no_system([])
    assert plain.severity == "error"
    assert "No operating system" in plain.message
    assert "LUKS encrypts /dev/sda2, /dev/sdb." in no_system(["/dev/sda2", "/dev/sdb"]).message
