# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manifests of OVF packages and OVAs as VMware, VirtualBox and oVirt write them."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support.hyper2kvm_loader import hyper2kvm_loads
from ansible_collections.hypersdk.hyper2kvm.tests.support.manifest_packages import (
    GIB,
    MIB,
    VMWARE_DISKS,
    manifest,
    package,
    sha256,
    verified,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module
from ansible_collections.hypersdk.hyper2kvm.tests.support.ovf_oddities import (
    OVIRT_OVA,
    VIRTUALBOX_2,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.ovf_samples import (
    OVIRT,
    VIRTUALBOX,
    VMWARE,
)


def test_vmware_ovf(tmp_path: Path) -> None:
    descriptor = package(tmp_path, VMWARE, VMWARE_DISKS)
    path = tmp_path / "artifact-manifest.json"
    result = run_module("artifact_manifest", {"path": str(path), "ovf": str(descriptor)})
    document = manifest(result)
    assert document["source"]["provider"] == "vsphere"
    assert document["vm"] == {
        "cpu": 2,
        "mem_gb": 2,
        "memory_mb": 1536,
        "firmware": "uefi",
        "secureboot": True,
        "os_hint": "linux",
        "os_version": "debian12_64Guest",
    }
    assert [Path(disk["local_path"]).name for disk in document["disks"]] == list(VMWARE_DISKS)
    assert [disk["capacity"] for disk in document["disks"]] == [8 * MIB, 16 * MIB]
    assert "has no file: it was empty" in document["warnings"][0]["message"]
    assert document["nics"][0]["pci_slot"] == 192
    assert verified(path)["findings"] == []
    assert hyper2kvm_loads(path)["boot"] == "disk-0"
    assert not run_module("artifact_manifest", {"path": str(path), "ovf": str(descriptor)})[
        "changed"
    ]


def test_a_directory_to_unpack_a_descriptor_into(tmp_path: Path) -> None:
    descriptor = package(tmp_path, VMWARE, VMWARE_DISKS)
    options = {"path": str(tmp_path / "m.json"), "ovf": str(descriptor), "ovf_directory": "/a"}
    result = run_module("artifact_manifest", options)
    assert result["failed"] and "is no OVA that could be unpacked" in result["msg"]


def test_virtualbox_ova(tmp_path: Path) -> None:
    source = tmp_path / "source"
    names = ("web01-disk001.vmdk", "web01-disk002.vmdk")
    source.mkdir()
    package(source, VIRTUALBOX, names)
    ova = tmp_path / "web01.ova"
    with tarfile.open(ova, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name in ("web01.ovf", *names, "web01.mf"):
            tar.add(source / name, name)
    path = tmp_path / "artifact-manifest.json"
    options = {"path": str(path), "ovf": str(ova)}
    planned = run_module("artifact_manifest", options, check=True)
    assert planned["changed"] and not (tmp_path / "web01").exists()
    result = run_module("artifact_manifest", options)
    document = manifest(result)
    assert [disk["local_path"] for disk in document["disks"]] == [
        str(tmp_path / "web01" / name) for name in names
    ]
    assert [disk["checksum"] for disk in document["disks"]] == [
        sha256(source / name) for name in names
    ]
    assert manifest(planned)["disks"] == document["disks"]
    assert document["nics"][0]["mac"] == "08:00:27:0a:0b:0c"
    assert verified(path)["findings"] == []
    assert hyper2kvm_loads(path)["boot"] == "disk-0"
    assert not run_module("artifact_manifest", options)["changed"]
    (tmp_path / "web01" / names[1]).unlink()
    assert run_module("artifact_manifest", options)["changed"]
    assert (tmp_path / "web01" / names[1]).exists()


def test_ovirt(tmp_path: Path) -> None:
    descriptor = package(
        tmp_path, OVIRT, ("group-1/image-1", "group-2/image-2"), "qcow2", capacities=(GIB, 2 * GIB)
    )
    path = tmp_path / "artifact-manifest.json"
    document = manifest(
        run_module("artifact_manifest", {"path": str(path), "ovf": str(descriptor)})
    )
    assert [disk["source_format"] for disk in document["disks"]] == ["qcow2", "qcow2"]
    assert document["source"]["provider"] == "local"
    assert document["metadata"]["local"] == {"product": "oVirt"}
    # oVirt marks the second disk as the one that boots.
    assert hyper2kvm_loads(path)["boot"] == "disk-1"


def test_virtualbox_in_ovf_2(tmp_path: Path) -> None:
    """Escaped names, a CD's image, an IDE disk in front; no .mf."""
    names = ("web 01-disk001.vmdk", "web 01-disk002.vmdk")
    descriptor = package(tmp_path, VIRTUALBOX_2, names, mf=False)
    (tmp_path / "web 01-disk003.iso").write_bytes(bytes(2048))
    path = tmp_path / "artifact-manifest.json"
    document = manifest(
        run_module("artifact_manifest", {"path": str(path), "ovf": str(descriptor)})
    )
    assert [Path(disk["local_path"]).name for disk in document["disks"]] == list(names)
    assert document["metadata"]["local"] == {"product": "VirtualBox"}
    facts = verified(path)
    assert facts["findings"] == [] and len(facts["checksums"]) == 2


def test_ovirts_ova(tmp_path: Path) -> None:
    """Its descriptor says 1 GiB of a disk that has 200 MiB more."""
    source = tmp_path / "source"
    source.mkdir()
    names = tuple(f"b0000000-0000-0000-0000-00000000000{number}" for number in (1, 2))
    exact = (GIB + 200 * MIB, 2 * GIB)
    package(source, OVIRT_OVA, (names[0], names[1]), "qcow2", capacities=exact, mf=False)
    ova = tmp_path / "web01.ova"
    with tarfile.open(ova, "w", format=tarfile.GNU_FORMAT) as tar:
        tar.add(source / "web01.ovf", "vm.ovf")
        for name in names:
            tar.add(source / name, name)
    path = tmp_path / "artifact-manifest.json"
    options = {"path": str(path), "ovf": str(ova), "ovf_directory": str(tmp_path / "unpacked")}
    document = manifest(run_module("artifact_manifest", options))
    assert [disk["capacity"] for disk in document["disks"]] == list(exact)
    assert [disk["controller"] for disk in document["disks"]] == ["VirtIO_SCSI", "VirtIO"]
    assert verified(path)["findings"] == []
    assert hyper2kvm_loads(path)["boot"] == "disk-1"


def test_an_ova_that_is_compressed(tmp_path: Path) -> None:
    ova = tmp_path / "web01.ova.gz"
    with tarfile.open(ova, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("web01.ovf"))
    result = run_module("artifact_manifest", {"path": str(tmp_path / "m.json"), "ovf": str(ova)})
    assert result["failed"] and f"The OVA {ova} is compressed with gzip." in result["msg"]


@pytest.mark.parametrize("name", ["../evil.vmdk", "/etc/passwd", "a/../../evil.vmdk"])
def test_ova_with_a_file_outside(tmp_path: Path, name: str) -> None:
    source = package(tmp_path, VIRTUALBOX, ("web01-disk001.vmdk", "web01-disk002.vmdk"))
    ova = tmp_path / "evil.ova"
    with tarfile.open(ova, "w") as tar:
        tar.add(source, "web01.ovf")
        member = tar.gettarinfo(source, name)
        member.name = name
        with open(source, "rb") as file:
            tar.addfile(member, file)
    result = run_module("artifact_manifest", {"path": str(tmp_path / "m.json"), "ovf": str(ova)})
    assert result["failed"] and "which is not a plain file beside its descriptor" in result["msg"]
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    "href", ["../x.vmdk", "/x.vmdk", "http://example.com/x.vmdk", "a%2F..%2F..%2Fx.vmdk"]
)
def test_ovf_that_names_a_file_elsewhere(tmp_path: Path, href: str) -> None:
    descriptor = package(tmp_path, VMWARE, VMWARE_DISKS)
    descriptor.write_text(
        descriptor.read_text().replace('ovf:href="web01-disk1.vmdk"', f'ovf:href="{href}"')
    )
    result = run_module(
        "artifact_manifest", {"path": str(tmp_path / "m.json"), "ovf": str(descriptor)}
    )
    assert result["failed"] and "is not one beside the descriptor" in result["msg"]
