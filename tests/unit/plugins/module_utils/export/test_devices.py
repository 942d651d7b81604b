# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.export.devices import match_urls
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.export.errors import ExportError
from ansible_collections.hypersdk.hyper2kvm.tests.unit.plugins.module_utils.export.machines import (
    disk,
    url,
    vm,
)

SCSI = "/vm-42/ParaVirtualSCSIController0:"


def test_disks_keep_the_vms_order_whatever_the_leases() -> None:
    machine = vm(disk(1), disk(0))
    items = match_urls(machine, [url(f"{SCSI}0"), url(f"{SCSI}1")])
    assert [(item.name, item.disk and item.disk.unit_number) for item in items] == [
        ("web01-disk1.vmdk", 1),
        ("web01-disk2.vmdk", 0),
    ]


def test_extras_follow_the_disks_where_they_are_wanted() -> None:
    urls = [
        url("/vm-42/nvram", is_disk=False, target="web01.nvram"),
        url("/vm-42/VirtualIDEController1:0", is_disk=False, target="image.iso"),
        url(f"{SCSI}0"),
    ]
    machine = vm(disk(0))
    assert [item.name for item in match_urls(machine, urls)] == ["web01-disk1.vmdk", "web01.nvram"]
    assert [item.kind for item in match_urls(machine, urls, ())] == ["disk"]
    everything = match_urls(machine, urls, ("nvram", "cdrom"))
    assert [item.name for item in everything][1:] == ["web01.nvram", "web01-cdrom1.iso"]


def test_a_key_of_another_form_means_the_only_disk_left() -> None:
    items = match_urls(vm(disk(0), disk(1)), [url(f"{SCSI}1"), url("/vm-42/disk-2000")])
    assert [item.url.key for item in items] == ["/vm-42/disk-2000", f"{SCSI}1"]


@pytest.mark.parametrize(
    "urls",
    [
        [f"{SCSI}0"],
        [f"{SCSI}0", f"{SCSI}1", f"{SCSI}7"],
        ["/vm-42/a", "/vm-42/b"],
    ],
)
def test_a_lease_that_does_not_fit_is_refused(urls: list[str]) -> None:
    with pytest.raises(ExportError, match="doesn't fit its disks"):
        match_urls(vm(disk(0), disk(1)), [url(key) for key in urls])
