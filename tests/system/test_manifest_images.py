# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images of every format: told by their content, named in a manifest, converted by hyper2kvm."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.findings import (
    ManifestError,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.image_structure import (
    check_structure,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.images import identify
from ansible_collections.hypersdk.hyper2kvm.tests.support.hyper2kvm_loader import hyper2kvm_loads
from ansible_collections.hypersdk.hyper2kvm.tests.support.manifest_packages import (
    GIB,
    MIB,
    make_image,
    manifest,
    sha256,
    verified,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module

KIB = 1024

# Our formats and qemu-img's, with the variants of each that exporters write.
IMAGES = [
    ("vmdk", "vmdk", "subformat=streamOptimized"),
    ("vmdk", "vmdk", "subformat=monolithicSparse"),
    ("qcow2", "qcow2", ""),
    ("qcow2", "qcow2", "compat=0.10"),
    ("raw", "raw", ""),
    ("vhd", "vpc", ""),
    ("vhd", "vpc", "subformat=fixed"),
    ("vhd", "vpc", "subformat=dynamic,force_size=on"),
    ("vhdx", "vhdx", ""),
    ("vhdx", "vhdx", "subformat=fixed"),
    ("vdi", "vdi", ""),
    ("vdi", "vdi", "static=on"),
]


@pytest.mark.parametrize(("ours", "qemu_format", "options"), IMAGES)
@pytest.mark.parametrize("size", [8 * MIB, 3 * GIB + 1536 * 1024])
def test_headers_agree_with_qemu_img(
    tmp_path: Path, ours: str, qemu_format: str, options: str, size: int
) -> None:
    # The name says nothing, or something wrong.
    path = tmp_path / "disk.img"
    if "fixed" in options or "static" in options:
        size = min(size, 9 * MIB + 512 * 1024)
    arguments = ["-o", options] if options else []
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", qemu_format, *arguments, str(path), str(size)],
        check=True,
    )
    info = json.loads(
        subprocess.run(
            # Left to itself qemu-img takes a fixed VHD for raw, its footer for the disk's end.
            ["qemu-img", "info", "-f", qemu_format, "--output", "json", str(path)],
            capture_output=True,
            check=True,
        ).stdout
    )
    image = identify(path)
    assert (image.source_format, image.capacity) == (ours, info["virtual-size"])
    assert (
        info["format"] == qemu_format or "fixed" in options
    )  # qemu-img takes a fixed VHD for raw.
    assert image.refers_to == ()


@pytest.mark.parametrize(("ours", "qemu_format", "options"), IMAGES)
def test_images_that_end_early(tmp_path: Path, ours: str, qemu_format: str, options: str) -> None:
    """Cut within what its own tables place in it, an image is no longer what it was."""
    whole = make_image(tmp_path / "disk.img", qemu_format, options)
    check_structure(whole, identify(whole))
    kept = {"vmdk": 20 * KIB, "qcow2": 192 * KIB, "vhdx": 192 * KIB}
    content = whole.read_bytes()
    cut = tmp_path / "cut.img"
    cut.write_bytes(content[: kept.get(ours, len(content) - 4 * KIB)])
    if ours == "raw" or ("fixed" in options and ours == "vhd"):
        # Nothing in a raw disk tells its size, nor anything before a fixed VHD's footer.
        assert identify(cut).source_format == "raw"
        return
    with pytest.raises(ManifestError) as caught:
        check_structure(cut, identify(cut))
    assert str(cut) in caught.value.message and caught.value.action


def test_images_that_need_other_files(tmp_path: Path) -> None:
    base = make_image(tmp_path / "base.qcow2", "qcow2")
    overlay = tmp_path / "overlay.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "qcow2", str(overlay)],
        check=True,
    )
    flat = make_image(tmp_path / "flat.vmdk", "vmdk", "subformat=monolithicFlat")
    assert identify(overlay).refers_to == (str(base),)
    assert identify(flat).refers_to == ("flat-flat.vmdk",)
    for path in (overlay, flat):
        result = run_module(
            "artifact_manifest", {"path": str(tmp_path / "m.json"), "disks": [{"path": str(path)}]}
        )
        assert result["failed"] and "is not whole by itself" in result["msg"]


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (["gzip", "-k"], "compressed with gzip"),
        (["xz", "-k"], "compressed with xz"),
        (["bzip2", "-k"], "compressed with bzip2"),
        (["tar", "-cf", "disk.raw.tar"], "a tar archive"),
        (["qemu-img", "convert", "-f", "raw", "-O", "qed", "disk.raw", "disk.raw.qed"], "QED"),
        (
            ["qemu-img", "convert", "-f", "raw", "-O", "parallels", "disk.raw", "disk.raw.hdd"],
            "Par",
        ),
    ],
)
def test_what_a_disk_comes_wrapped_in_is_no_disk(
    tmp_path: Path, command: list[str], what: str
) -> None:
    raw = make_image(tmp_path / "disk.raw", "raw")
    arguments = command if command[0] == "qemu-img" else [*command, raw.name]
    subprocess.run(arguments, cwd=tmp_path, check=True)
    (made,) = (path for path in tmp_path.iterdir() if path != raw)
    with pytest.raises(ManifestError, match=what) as caught:
        identify(made)
    assert str(made) in caught.value.message and caught.value.action


def test_disks_of_every_format(tmp_path: Path) -> None:
    """An AWS VMDK, an Azure VHD, a GCP raw image and the others: one manifest, which hyper2kvm loads."""
    formats = {
        "vmdk": "vmdk",
        "vhd": "vpc",
        "raw": "raw",
        "qcow2": "qcow2",
        "vhdx": "vhdx",
        "vdi": "vdi",
    }
    disks = [
        make_image(tmp_path / f"{name}.img", qemu_format) for name, qemu_format in formats.items()
    ]
    path = tmp_path / "artifact-manifest.json"
    options = {
        "path": str(path),
        "disks": [{"path": str(disk)} for disk in disks],
        "boot_disk": "disk-1",
        "source": {"provider": "azure", "vm_name": "app01"},
        "metadata": {"azure": {"resource_group": "apps", "generation": "V2"}},
        "vm": {"cpu": 2, "mem_gb": 4, "firmware": "uefi", "os_hint": "linux"},
        "target_format": "raw",
    }
    planned = run_module("artifact_manifest", options, check=True, diff=True)
    assert planned["changed"] and not path.exists()
    result = run_module("artifact_manifest", options)
    assert planned["diff"]["after"].splitlines()[:20] == path.read_text().splitlines()[:20]
    document = manifest(result)
    assert [disk["source_format"] for disk in document["disks"]] == list(formats)
    assert [disk["checksum"] for disk in document["disks"]] == [sha256(disk) for disk in disks]
    assert document["metadata"]["azure"] == {"resource_group": "apps", "generation": "V2"}
    assert hyper2kvm_loads(path) == {
        "boot": "disk-1",
        "firmware": "uefi",
        "stages": ["inspect", "fix", "convert", "validate"],
        "output": str(tmp_path / "out"),
        "format": "raw",
    }
    facts = verified(path)
    assert facts["valid"] and facts["findings"] == [] and len(facts["checksums"]) == 6
    assert not run_module("artifact_manifest", options)["changed"]
    assert not run_module("artifact_manifest", options, check=True)["changed"]


def test_a_format_that_the_content_contradicts(tmp_path: Path) -> None:
    disk = make_image(tmp_path / "disk.vmdk", "qcow2")
    result = run_module(
        "artifact_manifest",
        {"path": str(tmp_path / "m.json"), "disks": [{"path": str(disk), "format": "vmdk"}]},
    )
    assert result["msg"].startswith(
        f"disks[0].source_format is vmdk, and {disk} is qcow2 by its content."
    )


def test_converted_by_hyper2kvm(tmp_path: Path) -> None:
    """Disks as the providers export them, through one manifest, to images with the same content."""
    executable = os.environ.get("HYPER2KVM_EXECUTABLE")
    assert executable, "HYPER2KVM_EXECUTABLE must name hyper2kvm's program (make setup)."
    formats = {
        "vsphere": ("vmdk", "subformat=streamOptimized"),
        "azure": ("vpc", "subformat=fixed,force_size=on"),
        "gcp": ("raw", ""),
        "openstack": ("qcow2", ""),
        "hyperv": ("vhdx", ""),
        "virtualbox": ("vdi", ""),
    }
    disks = {name: make_image(tmp_path / name, *form) for name, form in formats.items()}
    path = tmp_path / "artifact-manifest.json"
    manifest(
        run_module(
            "artifact_manifest",
            {
                "path": str(path),
                "disks": [{"path": str(disk), "id": name} for name, disk in disks.items()],
                "pipeline": {"fix": {"enabled": False}},
            },
        )
    )
    result = run_module("hyper2kvm_convert", {"manifest": str(path), "executable": executable})
    assert not result.get("failed"), result
    assert [output["id"] for output in result["outputs"]] == list(formats)
    for output in result["outputs"]:
        source, (qemu_format, _options) = disks[output["id"]], formats[output["id"]]
        compared = subprocess.run(
            ["qemu-img", "compare", "-f", qemu_format, "-F", "qcow2", str(source), output["path"]],
            capture_output=True,
            text=True,
            check=False,
        )
        assert compared.returncode == 0, compared.stdout
    assert verified(path)["valid"]
