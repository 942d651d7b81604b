# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.inside import no_system
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.storage import (
    Storage,
    Volume,
)


def test_why_there_is_no_system() -> None:
    plain = no_system(Storage([Volume("/dev/sda"), Volume("/dev/sda1", "ext4")]))
    assert plain.severity == "error"
    assert "No operating system" in plain.message
    encrypted = no_system(
        Storage([Volume("/dev/sda1", "ext4"), Volume("/dev/sda2", "crypto_LUKS")])
    )
    assert "/dev/sda2 is encrypted with LUKS" in encrypted.message
