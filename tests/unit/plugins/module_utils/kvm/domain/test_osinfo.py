# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.osinfo import (
    osinfo_name,
)

KNOWN = {
    *("debian11", "debian10", "rhel9-unknown", "rhel8.0", "centos-stream9", "linux2022"),
    *("win2k16", "win2k19", "win2k22", "win10", "win11", "generic", "sle15-unknown"),
}


@pytest.mark.parametrize(
    ("guest_id", "name"),
    [
        ("debian11_64Guest", "debian11"),
        # Newer than the database.
        ("debian13_64Guest", "debian11"),
        ("rhel9_64Guest", "rhel9-unknown"),
        ("rhel8_64Guest", "rhel8.0"),
        ("centos9_64Guest", "centos-stream9"),
        ("sles15_64Guest", "sle15-unknown"),
        ("ubuntu64Guest", "linux2022"),
        ("otherLinux64Guest", "linux2022"),
        ("windows9Server64Guest", "win2k16"),
        ("windows9_64Guest", "win10"),
        ("windows11_64Guest", "win11"),
        ("windows2019srvNext_64Guest", "win2k22"),
        ("windows2022srvNext_64Guest", "win2k22"),
        ("freebsd14_64Guest", "generic"),
        ("", "generic"),
    ],
)
def test_names(guest_id: str, name: str) -> None:
    assert osinfo_name(guest_id, KNOWN) == name
