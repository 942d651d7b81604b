# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.export.names import (
    base_name,
    disk_name,
    ova_name,
)
from ansible_collections.hypersdk.hyper2kvm.tests.unit.plugins.module_utils.export.machines import (
    vm,
)


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("web01", "web01"),
        ("Web Server (new)", "Web_Server_new"),
        ("../../etc/passwd", "etc_passwd"),
        ("/absolute", "absolute"),
        (".hidden", "hidden"),
        ("новый", "vm-42"),
        ("a\nb", "a_b"),
        ("x" * 300, "x" * 200),
    ],
)
def test_names_are_safe_anywhere(name: str, base: str) -> None:
    assert base_name(vm(name=name)) == base


def test_names_of_files() -> None:
    machine = vm()
    assert disk_name(machine, 1) == "web01-disk2.vmdk"
    assert ova_name(machine, compress=True) == "web01.ova.gz"
