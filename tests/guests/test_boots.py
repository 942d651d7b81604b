# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ordinary guest as it stands: at home on VMware's hardware, stranded on virtio.

That its conversion boots is the end-to-end test's to show.
"""

from __future__ import annotations

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.guests import debian_bios, machine
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest

pytestmark = pytest.mark.emulated

# Emulated, on a machine that other tests keep busy.
PATIENCE = 600.0


@pytest.fixture(scope="module")
def guest() -> Guest:
    return debian_bios.build()


def test_it_boots_and_answers_on_vmwares_hardware(guest: Guest) -> None:
    with machine.running(guest, hardware="vmware") as running:
        seen = running.wait_for(f"{guest.login_pattern}|{machine.STRANDED}", PATIENCE)
        assert seen.matched == f"{guest.hostname} login:"
        for nic in guest.nics:
            assert running.answer(nic, 120) == guest.answer_line


def test_it_does_not_find_its_root_on_virtio(guest: Guest) -> None:
    with machine.running(guest, hardware="virtio") as running:
        seen = running.wait_for(f"{guest.login_pattern}|{machine.STRANDED}", PATIENCE)
        assert seen.matched == "(initramfs)"
        assert "/dev/sda1 does not exist" in seen.text
