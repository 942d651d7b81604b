# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disk images and OVF packages with real disks in them, and the manifests that are made of them."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.tests.support.hyper2kvm_loader import hyper2kvm_loads
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module
from ansible_collections.hypersdk.hyper2kvm.tests.support.ovf_samples import VMWARE

MIB = 2**20
GIB = 2**30
#: The disks of the packages that are made after ovf_samples.VMWARE.
VMWARE_DISKS = ("web01-disk1.vmdk", "web01-disk2.vmdk")


def make_image(path: Path, qemu_format: str, options: str = "", size: int = 8 * MIB) -> Path:
    """Make an image with some content."""
    raw = path.with_name(path.name + ".content")
    with open(raw, "wb") as file:
        file.write(hashlib.sha256(path.name.encode()).digest() * 4096)
        file.truncate(size)
    arguments = ["-o", options] if options else []
    subprocess.run(
        ["qemu-img", "convert", "-O", qemu_format, *arguments, "-f", "raw", str(raw), str(path)],
        check=True,
    )
    raw.unlink()
    return path


def sha256(path: Path) -> str:
    """Return the digest of a file as a manifest has it."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def manifest(result: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest in artifact_manifest's result, which is no failure; hyper2kvm loads it too."""
    assert not result.get("failed"), result["msg"]
    document: dict[str, Any] = result["manifest"]
    path = Path(result["path"])
    if path.exists():
        hyper2kvm_loads(path)
    return document


def verified(path: Path, **options: Any) -> dict[str, Any]:
    """Return the result of artifact_manifest_info."""
    return run_module("artifact_manifest_info", {"path": str(path), **options})


def package(
    directory: Path, sample: str, names: tuple[str, str], qemu_format: str = "vmdk", **more: Any
) -> Path:
    """Write an OVF package with real disks of 8 and 16 MiB, and its .mf, unless mf is false."""
    options = "subformat=streamOptimized" if qemu_format == "vmdk" else ""
    disks = []
    for name, size in zip(names, more.pop("capacities", (8 * MIB, 16 * MIB))):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        disks.append(make_image(directory / name, qemu_format, options, size))
    values = {
        "size1": disks[0].stat().st_size,
        "size2": disks[1].stat().st_size,
        "capacity1": 8 * MIB,
        "capacity2": 16 * MIB,
        "capacity2_mib": 16,
        "capacity1_gib": 1,
        "capacity2_gib": 2,
        "boot_section": "",
        **more,
    }
    descriptor = directory / "web01.ovf"
    descriptor.write_text(sample.format(**values))
    if "mf" in more and not more["mf"]:
        return descriptor
    lines = [
        f"SHA256({file.relative_to(directory)})= {sha256(file)[7:]}\n"
        for file in [descriptor, *disks]
    ]
    (directory / "web01.mf").write_text("".join(lines))
    return descriptor


def exported_package(directory: Path) -> Path:
    """Write a package of VMware's with its manifest, and return the manifest's path."""
    directory.mkdir(exist_ok=True)
    descriptor = package(directory, VMWARE, VMWARE_DISKS)
    path = directory / "artifact-manifest.json"
    manifest(run_module("artifact_manifest", {"path": str(path), "ovf": str(descriptor)}))
    return path


def edit(path: Path, **sections: Any) -> None:
    """Change sections of the manifest at path, each by a function that gets it."""
    document = json.loads(path.read_text())
    for name, change in sections.items():
        change(document[name])
    path.write_text(json.dumps(document))
