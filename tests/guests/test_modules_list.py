# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest that hyper2kvm's FIX leaves without its root filesystem's module, converted by us.

It boots, and answers at each address, with each of three network configurations
in force. The whole matrix, with what hyper2kvm alone leaves, is `make test-guests`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.guests import conversions, debian_ways, matrix
from ansible_collections.hypersdk.hyper2kvm.tests.guests.cells import OURS
from ansible_collections.hypersdk.hyper2kvm.tests.guests.conversions import Converted
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest

pytestmark = pytest.mark.emulated


@pytest.fixture(scope="module")
def guest() -> Guest:
    return debian_ways.build_modules_list()


@pytest.fixture(scope="module")
def converted(guest: Guest, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    executable = os.environ.get("HYPER2KVM_EXECUTABLE")
    assert executable, "HYPER2KVM_EXECUTABLE must name hyper2kvm's program (make setup)."
    directory = tmp_path_factory.mktemp("modules-list")
    made = conversions.ours(guest, directory / "ours", Path(executable))
    assert made.said == "success", made.said
    return made


def test_its_initramfs_was_repaired(converted: Converted) -> None:
    repaired = [repair["what"] for repair in converted.result["repaired"]]
    assert any("initramfs" in what for what in repaired), repaired


@pytest.mark.parametrize("way", debian_ways.CHOSEN)
def test_it_boots_and_answers(guest: Guest, converted: Converted, way: str) -> None:
    cell = matrix.boot(guest, OURS, way, converted, hardware="virtio")
    assert cell.good, cell
