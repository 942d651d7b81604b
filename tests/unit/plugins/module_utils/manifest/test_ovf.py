# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.findings import (
    ManifestError,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.ovf import (
    parse_descriptor,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.ovf_devices import (
    quantity,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.ovf_oddities import (
    OVIRT_OVA,
    VIRTUALBOX_2,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.ovf_samples import (
    OVIRT,
    VIRTUALBOX,
    VMWARE,
)

MIB = 2**20
SIZES = {
    "size1": 1000,
    "size2": 2000,
    "capacity1": 8 * MIB,
    "capacity2": 16 * MIB,
    "capacity2_mib": 16,
    "capacity1_gib": 1,
    "capacity2_gib": 2,
}


def parse(sample, boot_section=""):
    return parse_descriptor(sample.format(**SIZES, boot_section=boot_section).encode(), "web01.ovf")


def test_vmware():
    vm = parse(VMWARE)
    assert (vm.name, vm.product, vm.cpu, vm.memory_mb) == ("web01", "VMware", 2, 1536)
    assert (vm.firmware, vm.secure_boot) == ("uefi", True)
    assert (vm.os_hint, vm.os_version) == ("linux", "debian12_64Guest")
    # By controller and unit: vmdisk1 is unit 0 though the descriptor names vmdisk2 first.
    assert [disk.id for disk in vm.disks] == ["vmdisk1", "vmdisk2", "vmdisk3"]
    assert [disk.capacity for disk in vm.disks] == [8 * MIB, 16 * MIB, 16 * 2**30]
    assert [disk.file.href if disk.file else None for disk in vm.disks] == [
        "web01-disk1.vmdk",
        "web01-disk2.vmdk",
        None,
    ]
    assert [(disk.controller, disk.unit_number) for disk in vm.disks] == [
        ("scsi0", 0),
        ("scsi0", 1),
        ("scsi0", 2),
    ]
    assert not vm.boot_disk_known
    (nic,) = vm.nics
    assert (nic.network, nic.adapter_type, nic.pci_slot, nic.mac) == (
        "VM Network",
        "vmxnet3",
        192,
        "",
    )


def test_a_scsi_disk_comes_before_an_ide_disk():
    """Whatever the descriptor's order and the unit numbers say."""
    moved = VMWARE.replace("<rasd:Parent>4</rasd:Parent>", "<rasd:Parent>3</rasd:Parent>", 2)
    vm = parse(moved)
    assert [(disk.id, disk.controller) for disk in vm.disks] == [
        ("vmdisk3", "scsi0"),
        ("vmdisk1", "ide0"),
        ("vmdisk2", "ide0"),
    ]


def test_vmware_names_the_disk_that_boots():
    vm = parse(VMWARE, '<vmw:BootOrderSection vmw:instanceId="5" vmw:type="disk"/>')
    assert [disk.id for disk in vm.disks if disk.boots] == ["vmdisk2"]
    assert vm.boot_disk_known


def test_virtualbox():
    vm = parse(VIRTUALBOX)
    assert (vm.name, vm.product, vm.cpu, vm.memory_mb) == ("web01", "VirtualBox", 4, 2048)
    assert vm.firmware == "uefi"
    assert (vm.os_hint, vm.os_version) == ("linux", "RedHat9_64")
    assert [(disk.controller, disk.unit_number) for disk in vm.disks] == [
        ("sata0", 0),
        ("sata0", 1),
    ]
    assert [(nic.mac, nic.network) for nic in vm.nics] == [("08:00:27:0A:0B:0C", "NAT")]


def test_virtualbox_without_firmware_is_bios():
    vm = parse(VIRTUALBOX.replace('<Firmware type="EFI"/>', ""))
    assert vm.firmware == "bios"


def test_ovirt():
    vm = parse(OVIRT)
    assert (vm.name, vm.product, vm.cpu, vm.memory_mb) == ("web01", "oVirt", 4, 4096)
    assert (vm.firmware, vm.secure_boot, vm.os_hint) == ("uefi", True, "windows")
    assert [disk.file.href for disk in vm.disks] == ["group-1/image-1", "group-2/image-2"]
    assert [disk.capacity for disk in vm.disks] == [2**30, 2 * 2**30]
    assert [disk.boots for disk in vm.disks] == [False, True]
    assert [(nic.mac, nic.network) for nic in vm.nics] == [("56:6f:1a:1b:00:01", "ovirtmgmt")]


def test_virtualbox_in_ovf_2():
    vm = parse(VIRTUALBOX_2)
    assert (vm.name, vm.product, vm.cpu, vm.memory_mb) == ("web 01", "VirtualBox", 2, 1000)
    # The words say nothing; the standard's number is Windows 10.
    assert (vm.os_hint, vm.os_version) == ("windows", "Other_64")
    # VirtualBox's BIOS boots from IDE first, and the CD is no disk.
    assert [(disk.id, disk.controller) for disk in vm.disks] == [
        ("vmdisk1", "ide0"),
        ("vmdisk2", "sata0"),
    ]
    # An adapter that is off has no device, but stands between the others.
    assert [(nic.mac, nic.network, nic.adapter_type) for nic in vm.nics] == [
        ("08:00:27:00:00:01", "External", "e1000"),
        ("08:00:27:00:00:03", "Internal", "virtio"),
    ]


def test_a_cd_that_no_drive_names_is_no_disk_either():
    text = VIRTUALBOX_2.replace("<sasd:HostResource>/disk/vmdisk3</sasd:HostResource>", "")
    assert [disk.id for disk in parse(text).disks] == ["vmdisk1", "vmdisk2"]


def test_what_a_cd_drive_holds_is_no_disk_whatever_its_format_says():
    text = VIRTUALBOX_2.replace("http://www.ecma-international.org/publications/standards/", "")
    assert [disk.id for disk in parse(text.replace("Ecma-119.htm", "iso")).disks] == [
        "vmdisk1",
        "vmdisk2",
    ]


def test_virtualbox_is_known_without_its_own_section():
    start, end = VIRTUALBOX_2.index("<vbox:Machine"), VIRTUALBOX_2.index("</vbox:Machine>")
    vm = parse(VIRTUALBOX_2[:start] + VIRTUALBOX_2[end + len("</vbox:Machine>") :])
    assert vm.product == "VirtualBox" and vm.disks[0].id == "vmdisk1"
    assert [nic.mac for nic in vm.nics] == ["", ""]


def test_ovirts_ova():
    vm = parse(OVIRT_OVA)
    assert (vm.name, vm.product, vm.cpu, vm.memory_mb) == ("web01", "oVirt", 2, 2048)
    assert (vm.firmware, vm.secure_boot, vm.os_hint) == ("bios", None, "linux")
    assert [(disk.file.href[-1], disk.controller, disk.boots) for disk in vm.disks] == [
        ("1", "VirtIO_SCSI", False),
        ("2", "VirtIO", True),
    ]
    assert vm.disks[0].agrees_with(2**30 - 512) and vm.disks[0].agrees_with(2**31 - 1)
    assert not vm.disks[0].agrees_with(2**31) and not vm.disks[0].agrees_with(0)
    assert [(nic.mac, nic.network, nic.adapter_type) for nic in vm.nics] == [
        ("56:6f:1a:1b:00:02", "lab", "virtio")
    ]


def test_nothing_known_of_the_firmware_of_an_unknown_ovirt_bios():
    assert parse(OVIRT.replace("<BiosType>4<", "<BiosType>0<")).firmware == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<Envelope", "not well-formed"),
        ("<Domain/>", "its root is Domain"),
        ("<Envelope/>", "describes no virtual machines"),
        ("<Envelope><VirtualSystem/><VirtualSystem/></Envelope>", "describes 2 virtual machines"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><Envelope/>', "document type"),
        ("<a>" * 300 + "</a>" * 300, "nested too deeply"),
    ],
)
def test_refused(text, message):
    with pytest.raises(ManifestError, match=message):
        parse_descriptor(text.encode(), "web01.ovf")


@pytest.mark.parametrize(
    ("units", "bytes_"),
    [
        ("byte * 2^20", MIB),
        ("byte*2^30", 2**30),
        ("byte * 10^9", 10**9),
        ("MegaBytes", MIB),
        ("GigaBytes", 2**30),
        ("KiB", 1024),
        ("byte", 1),
        ("", 1),
    ],
)
def test_units(units, bytes_):
    assert quantity(units) == bytes_
