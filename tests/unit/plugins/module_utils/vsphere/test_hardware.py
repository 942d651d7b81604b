# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from pyVmomi import vim

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.hardware import (
    Cdrom,
    cdroms_of,
    disks_of,
    has_tpm,
    host_devices_of,
    nics_of,
    portgroup_keys,
)

device = vim.vm.device
VirtualDisk = device.VirtualDisk
FLAT = {"fileName": "[ds 1] web01/web01.vmdk", "diskMode": "persistent"}


def disk(key: int, backing: Any, controller: int = 1000) -> Any:
    return VirtualDisk(
        key=key,
        controllerKey=controller,
        unitNumber=key - 2000,
        capacityInKB=1024,
        backing=backing,
        deviceInfo=vim.Description(label=f"Hard disk {key - 1999}"),
    )


def scsi(sharing: str = "noSharing", key: int = 1000) -> Any:
    return device.ParaVirtualSCSIController(key=key, busNumber=key - 1000, sharedBus=sharing)


def test_a_disk() -> None:
    (found,) = disks_of(
        [scsi(), disk(2000, VirtualDisk.FlatVer2BackingInfo(**FLAT))], (), {2000: 7}
    )
    assert (found.file, found.datastore, found.capacity) == (FLAT["fileName"], "ds 1", 1 << 20)
    assert (found.used, found.controller, found.mode) == (7, "pvscsi", "persistent")
    assert (found.raw_mapping, found.shared, found.encrypted) == ("", False, False)


def test_what_no_export_holds() -> None:
    key = vim.encryption.CryptoKeyId(keyId="k")
    mapping = {"fileName": "[ds] a.vmdk", "deviceName": "vml.1"}
    devices = [
        scsi(),
        scsi("physicalSharing", 1001),
        disk(2000, VirtualDisk.FlatVer2BackingInfo(**FLAT, sharing="sharingMultiWriter")),
        disk(2001, VirtualDisk.FlatVer2BackingInfo(**FLAT), controller=1001),
        disk(2002, VirtualDisk.FlatVer2BackingInfo(**FLAT, keyId=key)),
        disk(
            2003,
            VirtualDisk.RawDiskMappingVer1BackingInfo(**mapping, compatibilityMode="virtualMode"),
        ),
        disk(
            2004,
            VirtualDisk.RawDiskMappingVer1BackingInfo(
                **mapping, compatibilityMode="physicalMode", diskMode="independent_persistent"
            ),
        ),
    ]
    found = {disk.label: disk for disk in disks_of(devices, (), {})}
    assert [found[f"Hard disk {n}"].shared for n in (1, 2, 3)] == [True, True, False]
    assert [found[f"Hard disk {n}"].encrypted for n in (1, 3)] == [False, True]
    assert [found[f"Hard disk {n}"].raw_mapping for n in (3, 4, 5)] == ["", "virtual", "physical"]
    assert found["Hard disk 5"].mode == "independent_persistent"


@pytest.mark.parametrize(("order", "labels"), [((), ["1", "2"]), ((2001,), ["2", "1"])])
def test_the_boot_order_comes_first(order: tuple[int, ...], labels: list[str]) -> None:
    backing = VirtualDisk.FlatVer2BackingInfo(**FLAT)
    devices = [scsi(), disk(2001, backing), disk(2000, backing)]
    entries = [vim.vm.BootOptions.BootableDiskDevice(deviceKey=key) for key in order]
    assert [each.label[-1] for each in disks_of(devices, entries, {})] == labels


def test_adapters_on_either_kind_of_network() -> None:
    port = vim.dvs.PortConnection(portgroupKey="dvportgroup-7", switchUuid="u")
    card = device.VirtualVmxnet3
    devices = [
        card(
            key=4000,
            macAddress="00:50:56:AA:00:01",
            backing=device.VirtualEthernetCard.NetworkBackingInfo(deviceName="a%2fb"),
            slotInfo=device.VirtualDevice.PciBusSlotInfo(pciSlotNumber=192),
        ),
        card(
            key=4001,
            backing=device.VirtualEthernetCard.DistributedVirtualPortBackingInfo(port=port),
        ),
        device.VirtualE1000(key=4002, backing=None),
    ]
    assert list(portgroup_keys(devices)) == ["dvportgroup-7"]
    found = nics_of(devices, {"dvportgroup-7": "spine"}.__getitem__, {})
    assert [nic.network for nic in found] == ["a/b", "spine", ""]
    assert [nic.pci_slot for nic in found] == [192, None, None]
    assert (found[0].mac, found[2].adapter_type) == ("00:50:56:aa:00:01", "e1000")


def test_other_devices() -> None:
    iso = device.VirtualCdrom.IsoBackingInfo(fileName="[ds] tools.iso")
    empty = device.VirtualCdrom.RemotePassthroughBackingInfo(deviceName="")
    devices = [
        device.VirtualCdrom(key=1, backing=iso, deviceInfo=vim.Description(label="CD 1")),
        device.VirtualCdrom(key=2, backing=empty),
        device.VirtualPCIPassthrough(key=3, deviceInfo=vim.Description(label="PCI device 0")),
        device.VirtualUSB(key=4),
        device.VirtualTPM(key=5),
    ]
    assert cdroms_of(devices) == (Cdrom("CD 1", "[ds] tools.iso"),)
    assert host_devices_of(devices) == ("PCI device 0", "VirtualUSB")
    assert has_tpm(devices) and not has_tpm(devices[:4])
