# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.errors import BootCheckError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.firmware import UefiFirmware
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.machine import (
    Disk,
    Machine,
    Plumbing,
    described_cpus,
    described_memory,
    described_nics,
    given_nics,
    qemu_arguments,
)

DISKS = [Disk(Path("/srv/web01/disk-0.qcow2"), "qcow2"), Disk(Path("/srv/a,b/disk-1.raw"), "raw")]


def arguments(kvm: bool = False, plumbing: Plumbing | None = None, **attributes: Any) -> list[str]:
    machine = Machine(**{"disks": DISKS, **attributes})
    plumbing = plumbing or Plumbing(
        qmp_socket="qmp.sock", variables=Path("/srv/scratch/variables.fd"), nics=[7, 9]
    )
    return qemu_arguments(machine, plumbing, program="qemu-system-x86_64", kvm=kvm)


def values(vector: list[str], option: str) -> list[str]:
    return [value for name, value in zip(vector, vector[1:]) if name == option]


def test_nothing_is_written_and_nothing_is_guessed() -> None:
    vector = arguments()
    assert "-snapshot" in vector
    assert values(vector, "-drive") == [
        "if=none,id=disk0,format=qcow2,file=/srv/web01/disk-0.qcow2",
        "if=none,id=disk1,format=raw,file=/srv/a,,b/disk-1.raw",
    ]


def test_disks_in_order_and_the_boot_disk_first_to_boot() -> None:
    devices = [d for d in values(arguments(boot_index=1), "-device") if "drive=" in d]
    assert devices == ["virtio-blk-pci,drive=disk0", "virtio-blk-pci,drive=disk1,bootindex=1"]


def test_virtio_scsi() -> None:
    devices = values(arguments(disk_bus="virtio-scsi"), "-device")
    assert "virtio-scsi-pci,id=scsi" in devices
    assert "scsi-hd,bus=scsi.0,scsi-id=1,drive=disk1" in devices
    assert devices.index("virtio-scsi-pci,id=scsi") < devices.index(
        "scsi-hd,bus=scsi.0,scsi-id=0,drive=disk0,bootindex=1"
    )


def test_nics_keep_their_macs_and_reach_only_us() -> None:
    vector = arguments(nics=given_nics(["00:50:56:8A:10:01", ""]))
    assert values(vector, "-netdev") == ["socket,id=net0,fd=7", "socket,id=net1,fd=9"]
    devices = values(vector, "-device")
    assert "virtio-net-pci,netdev=net0,romfile=,mac=00:50:56:8A:10:01" in devices
    assert "virtio-net-pci,netdev=net1,romfile=" in devices


def test_nics_are_found_in_the_order_that_the_guest_needs() -> None:
    nics = given_nics(["00:50:56:8a:10:01", "00:50:56:8a:10:02"])
    vector = arguments(nics=nics, nic_order=(1, 0))
    assert values(vector, "-netdev") == ["socket,id=net1,fd=9", "socket,id=net0,fd=7"]
    devices = [device for device in values(vector, "-device") if "net" in device]
    assert [device.rpartition(":")[2] for device in devices] == ["02", "01"]


def test_nics_have_the_addresses_that_the_guest_was_bound_to() -> None:
    document = {"nics": [{"mac": "00:50:56:8a:10:01"}, {"mac": "00:50:56:8a:10:02"}]}
    nics = described_nics(document, {"macs": {"nic-1": "52:54:00:00:00:02"}})
    assert [nic.mac for nic in nics] == ["00:50:56:8a:10:01", "52:54:00:00:00:02"]


@pytest.mark.parametrize("mac", ["00:50:56:8a:10", "x,romfile=/etc/shadow", "00:50:56:8a:10:01\n"])
def test_a_mac_that_is_none(mac: str) -> None:
    with pytest.raises(BootCheckError, match=r"nics\[0\]\.mac"):
        arguments(nics=given_nics([mac]))


def test_an_agent_and_a_tpm() -> None:
    plain = " ".join(arguments())
    assert "virtserialport" not in plain
    assert "tpm" not in plain
    vector = arguments(plumbing=Plumbing("qmp.sock", agent=5, tpm_socket="tpm.sock"))
    assert "socket,id=agent,fd=5" in values(vector, "-chardev")
    assert "socket,id=tpm,path=tpm.sock" in values(vector, "-chardev")
    assert "virtserialport,chardev=agent,name=org.qemu.guest_agent.0" in values(vector, "-device")
    assert "tpm-tis,tpmdev=tpm0" in values(vector, "-device")


def test_firmware() -> None:
    assert not [d for d in values(arguments(), "-drive") if "pflash" in d]
    uefi = UefiFirmware(Path("/usr/share/OVMF/CODE.fd"), Path("/usr/share/OVMF/VARS.fd"))
    code, variables = [d for d in values(arguments(uefi=uefi), "-drive") if "pflash" in d]
    assert code == "if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/CODE.fd"
    assert variables == "if=pflash,unit=1,format=raw,file=/srv/scratch/variables.fd"


def test_firmware_that_enforces_secure_boot() -> None:
    uefi = UefiFirmware(Path("/c.fd"), Path("/v.fd"), smm=True, secure_boot=True)
    vector = arguments(uefi=uefi)
    assert values(vector, "-machine") == ["q35,graphics=off,smm=on"]
    assert "driver=cfi.pflash01,property=secure,value=on" in values(vector, "-global")
    assert "smm=on" not in " ".join(arguments())
    with pytest.raises(BootCheckError, match="q35"):
        arguments(uefi=uefi, machine="pc")


def test_accelerator() -> None:
    assert (values(arguments(), "-accel"), values(arguments(), "-cpu")) == (
        ["tcg,tb-size=512"],
        ["max"],
    )
    assert (values(arguments(kvm=True), "-accel"), values(arguments(kvm=True), "-cpu")) == (
        ["kvm"],
        ["host"],
    )


def test_sizes_of_the_manifest_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert described_cpus({"vm": {"cpu": 2}}) == 2
    assert described_cpus({"vm": {"cpu": 96}}) == 4
    assert described_cpus({}) == 1
    assert described_memory({"vm": {"mem_gb": 2}}) == 2048
    assert described_memory({"vm": {"mem_gb": 512}}) == 4096
    assert described_memory({}) == 1024
    assert described_memory({"vm": {"mem_gb": 1, "memory_mb": 512}}) == 512


def test_nics_of_the_manifest() -> None:
    document = {"nics": [{"id": "eth", "mac": "00:50:56:8a:10:01"}, {"network": "VM Network"}]}
    assert [(nic.name, nic.mac) for nic in described_nics(document, {})] == [
        ("eth", "00:50:56:8a:10:01"),
        ("nic-1", ""),
    ]


@pytest.mark.parametrize(
    ("name", "image_format"),
    [("a.qcow2", "qcow2"), ("a.RAW", "raw"), ("a.img", "raw"), ("a.vhd", "vpc")],
)
def test_the_format_is_in_the_name(name: str, image_format: str) -> None:
    assert Disk.of(Path(name)).format == image_format


def test_a_name_without_a_format() -> None:
    with pytest.raises(BootCheckError, match="can't be told"):
        Disk.of(Path("/srv/disk"))
