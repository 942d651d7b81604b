# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both modules as processes of their own, on real images of every format and real OVF packages."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.images import identify
from ansible_collections.hypersdk.hyper2kvm.tests.support import golang
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import (
    COLLECTIONS_ROOT,
    run_module,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.ovf_samples import (
    OVIRT,
    VIRTUALBOX,
    VMWARE,
)

MIB = 2**20
GIB = 2**30

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
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def manifest(result: dict[str, Any]) -> dict[str, Any]:
    assert not result.get("failed"), result["msg"]
    document: dict[str, Any] = result["manifest"]
    return document


def verified(path: Path, **options: Any) -> dict[str, Any]:
    return run_module("artifact_manifest_info", {"path": str(path), **options})


def hyper2kvm_loads(path: Path) -> dict[str, Any]:
    """Return what hyper2kvm's own loader makes of a manifest."""
    python = os.environ.get("HYPER2KVM_PYTHON")
    assert python, (
        "HYPER2KVM_PYTHON must name the interpreter of hyper2kvm's environment (make setup)."
    )
    program = (
        "import json, sys\n"
        "from hyper2kvm.manifest.loader import ManifestLoader\n"
        "loader = ManifestLoader()\n"
        "loader.load(sys.argv[1])\n"
        "loader.verify_checksums()\n"
        "print(json.dumps({'boot': loader.get_boot_disk().id, 'firmware': loader.get_firmware(),\n"
        "    'stages': [s for s in ('inspect', 'fix', 'convert', 'validate') if loader.is_stage_enabled(s)],\n"
        "    'output': str(loader.get_output_directory()), 'format': loader.get_output_format()}))\n"
    )
    done = subprocess.run(
        [python, "-c", program, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


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


def package(
    directory: Path, sample: str, names: tuple[str, str], qemu_format: str = "vmdk", **more: Any
) -> Path:
    """Write an OVF package with real disks of 8 and 16 MiB, and its .mf."""
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
    lines = [
        f"SHA256({file.relative_to(directory)})= {sha256(file)[7:]}\n"
        for file in [descriptor, *disks]
    ]
    (directory / "web01.mf").write_text("".join(lines))
    return descriptor


VMWARE_DISKS = ("web01-disk1.vmdk", "web01-disk2.vmdk")


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


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A VMware package with its manifest."""
    descriptor = package(tmp_path, VMWARE, VMWARE_DISKS)
    path = tmp_path / "artifact-manifest.json"
    manifest(run_module("artifact_manifest", {"path": str(path), "ovf": str(descriptor)}))
    return path


def edit(path: Path, **sections: Any) -> None:
    document = json.loads(path.read_text())
    for name, change in sections.items():
        change(document[name])
    path.write_text(json.dumps(document))


def damaged_byte(path: Path) -> None:
    disk = path.parent / VMWARE_DISKS[0]
    content = bytearray(disk.read_bytes())
    content[-600] ^= 1
    disk.write_bytes(content)


def cut(path: Path) -> None:
    disk = path.parent / VMWARE_DISKS[0]
    disk.write_bytes(disk.read_bytes()[:-1024])


def cut_and_blessed(path: Path) -> None:
    """Cut, with a manifest, a .mf and a descriptor that agree with what is left, as a careless exporter writes them."""
    disk = path.parent / VMWARE_DISKS[0]
    old_sum, old_size = sha256(disk), disk.stat().st_size
    disk.write_bytes(disk.read_bytes()[: 64 * 1024])
    replaced = {old_sum[7:]: sha256(disk)[7:], str(old_size): str(disk.stat().st_size)}
    descriptor = path.parent / "web01.ovf"
    before = sha256(descriptor)[7:]
    for file in (descriptor, path, path.parent / "web01.mf"):
        text = file.read_text()
        for old, new in replaced.items():
            text = text.replace(old, new)
        file.write_text(text)
    listing = path.parent / "web01.mf"
    listing.write_text(listing.read_text().replace(before, sha256(descriptor)[7:]))


def other_capacity(path: Path) -> None:
    descriptor = path.parent / "web01.ovf"
    text = descriptor.read_text().replace(f'ovf:capacity="{8 * MIB}"', f'ovf:capacity="{9 * MIB}"')
    descriptor.write_text(text)
    (path.parent / "web01.mf").unlink()


def other_disk(path: Path) -> None:
    make_image(path.parent / VMWARE_DISKS[0], "vmdk", "subformat=streamOptimized", 12 * MIB)


FINDINGS = [
    ("missing manifest", lambda path: path.unlink(), [("", "does not exist")]),
    ("not JSON", lambda path: path.write_text('{"manifest_version"'), [("", "is not JSON")]),
    (
        "rejected",
        lambda path: edit(path, vm=lambda vm: vm.update(firmware="efi")),
        [("vm.firmware", "is 'efi'")],
    ),
    (
        "checksum mismatch",
        damaged_byte,
        [("disks[0].checksum", "and the file"), ("disks[0].local_path", "the .mf beside")],
    ),
    ("cut", cut, [("disks[0].bytes", "has"), ("disks[0].checksum", "and the file")]),
    ("cut and blessed", cut_and_blessed, [("disks[0].local_path", "web01-disk1.vmdk: ")]),
    (
        "a missing disk",
        lambda path: (path.parent / VMWARE_DISKS[1]).unlink(),
        [("disks[1].local_path", "does not exist")],
    ),
    (
        "no regular file",
        lambda path: edit(path, disks=lambda disks: disks[0].update(local_path=str(path.parent))),
        [("disks[0].local_path", "is not a regular file")],
    ),
    (
        "another format",
        lambda path: edit(path, disks=lambda disks: disks[0].update(source_format="raw")),
        [("disks[0].source_format", "is raw, and")],
    ),
    (
        "another capacity in the manifest",
        lambda path: edit(path, disks=lambda disks: disks[0].update(capacity=1)),
        [("disks[0].capacity", "is 1, and")],
    ),
    ("another capacity in the OVF", other_capacity, [("disks[0].capacity", "says that")]),
    (
        "another disk",
        other_disk,
        [
            ("disks[0].capacity", "holds a disk of 12582912 bytes"),
            ("disks[0].checksum", "and the file"),
        ],
    ),
    (
        "a manifest that contradicts the .mf",
        lambda path: edit(path, disks=lambda disks: disks[0].update(checksum="sha256:" + "0" * 64)),
        [("disks[0].checksum", "web01.mf says"), ("disks[0].checksum", "and the file")],
    ),
    (
        "a changed descriptor",
        lambda path: (path.parent / "web01.ovf").write_text(
            (path.parent / "web01.ovf").read_text() + "\n"
        ),
        [("", "web01.ovf, and the file has")],
    ),
    (
        "several at once",
        lambda path: edit(
            path,
            vm=lambda vm: vm.update(firmware="efi"),
            disks=lambda disks: (disks[0].update(bytes=5), disks[1].update(local_path="/nowhere")),
        ),
        [
            ("vm.firmware", "is 'efi'"),
            ("disks[0].bytes", "is 5"),
            ("disks[1].local_path", "does not exist"),
        ],
    ),
]


@pytest.mark.parametrize(("name", "change", "expected"), FINDINGS, ids=[row[0] for row in FINDINGS])
def test_findings(exported: Path, name: str, change: Any, expected: list[tuple[str, str]]) -> None:
    assert verified(exported)["findings"] == []
    change(exported)
    result = verified(exported, fail_on_error=False)
    assert not result.get("failed") and result["valid"] is False
    errors = [finding for finding in result["findings"] if finding["severity"] == "error"]
    for where, words in expected:
        assert any(each["path"] == where and words in each["message"] for each in errors), errors
    assert all(finding["action"] for finding in result["findings"])
    failed = verified(exported)
    assert failed["failed"] and str(exported) in failed["msg"]
    assert failed["findings"] == result["findings"]


def test_warnings_do_not_fail(exported: Path) -> None:
    descriptor = exported.parent / "web01.ovf"
    size = (exported.parent / VMWARE_DISKS[0]).stat().st_size
    # As govc writes it: the capacity where the size of the file belongs.
    descriptor.write_text(
        descriptor.read_text().replace(f'ovf:size="{size}"', f'ovf:size="{8 * MIB}"', 1)
    )
    (exported.parent / "web01.mf").write_text(f"SHA256({VMWARE_DISKS[1]})= nonsense\nSHA1(x)= 1\n")
    result = verified(exported)
    assert result["valid"] and not result.get("failed"), result["findings"]
    assert [(finding["severity"], finding["path"]) for finding in result["findings"]] == [
        ("warning", "disks[0].bytes")
    ]


def test_the_disks_are_not_read_when_not_asked_for(exported: Path) -> None:
    damaged_byte(exported)
    result = verified(exported, verify_checksums=False)
    assert result["valid"] and result["checksums"] == {}


def test_sha1_listings_are_checked_too(exported: Path) -> None:
    disk = exported.parent / VMWARE_DISKS[0]
    digest = hashlib.sha1(disk.read_bytes()).hexdigest()
    (exported.parent / "web01.mf").write_text(f"SHA1({disk.name})= {digest}\n")
    assert verified(exported)["findings"] == []
    (exported.parent / "web01.mf").write_text(f"SHA1({disk.name})= {'0' * 40}\n")
    (finding,) = verified(exported, fail_on_error=False)["findings"]
    assert "says sha1 0000" in finding["message"]


def test_hashes_are_not_shown(exported: Path) -> None:
    descriptor = exported.parent / "web01.ovf"
    users = {
        "users": {
            "users": [
                {
                    "name": "rescue",
                    "password_hash": "$6$salt$hash-of-rescue",
                    "ssh_keys": ["ssh-x k"],
                }
            ]
        }
    }
    options = {"path": str(exported), "ovf": str(descriptor), "configuration": users}
    result = run_module("artifact_manifest", options, diff=True)
    assert result["changed"] and "hash-of-rescue" not in json.dumps(result)
    assert "ssh-x k" in json.dumps(result["manifest"])
    assert "hash-of-rescue" in exported.read_text()
    assert exported.stat().st_mode & 0o777 == 0o600
    assert "hash-of-rescue" not in json.dumps(verified(exported))
    removed = run_module("artifact_manifest", {"path": str(exported), "state": "absent"}, diff=True)
    assert removed["changed"] and "hash-of-rescue" not in json.dumps(removed)


def test_absent_with_backup(exported: Path) -> None:
    text = exported.read_text()
    options = {"path": str(exported), "state": "absent", "backup": True}
    assert run_module("artifact_manifest", options, check=True)["changed"] and exported.exists()
    result = run_module("artifact_manifest", options, diff=True)
    assert result["changed"] and result["diff"]["before"] == text and result["diff"]["after"] == ""
    assert Path(result["backup_file"]).read_text() == text
    again = run_module("artifact_manifest", options)
    assert not again["changed"] and "backup_file" not in again


def test_mode_of_the_file(exported: Path) -> None:
    options = {"path": str(exported), "notes": ["x"], "mode": "0640"}
    assert run_module("artifact_manifest", options, check=True)["changed"]
    assert run_module("artifact_manifest", options)["changed"]
    assert exported.stat().st_mode & 0o777 == 0o640
    assert not run_module("artifact_manifest", options)["changed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ovf": "/a", "disks": []}, "mutually exclusive"),
        ({"ovf": "/nowhere/a.ovf"}, "The OVF /nowhere/a.ovf does not exist."),
        ({"disks": []}, "disks is empty"),
        ({"boot_disk": "disk-0"}, "boot_disk is given without export, ovf or disks"),
        ({"ovf_directory": "/a"}, "missing parameter(s) required by 'ovf_directory': ovf"),
        ({}, "nothing is given to build it from"),
        (
            {"target_format": "raw", "output": {"format": "vdi"}},
            "target_format is raw, and output.format is vdi.",
        ),
        ({"vm": {"firmware": "efi"}}, "value of firmware must be one of: bios, uefi, unknown"),
        ({"hooks": {"pre_extraction": []}}, "Unsupported parameters"),
    ],
)
def test_options_that_contradict(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    result = run_module("artifact_manifest", {"path": str(tmp_path / "m.json"), **options})
    assert result["failed"] and message in result["msg"]
    assert "Traceback" not in json.dumps(result)


def test_without_jsonschema(tmp_path: Path) -> None:
    (tmp_path / "jsonschema").mkdir()
    (tmp_path / "jsonschema" / "__init__.py").write_text("raise ImportError('not here')\n")
    hidden = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(COLLECTIONS_ROOT)])}
    for name in ("artifact_manifest", "artifact_manifest_info"):
        result = run_module(name, {"path": str(tmp_path / "m.json")}, environment=hidden)
        assert (
            result["failed"]
            and "Failed to import the required Python library (jsonschema" in result["msg"]
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


def mirrored(document: Any, decoded: Any) -> None:
    """Everything that the Go types have arrived as it was sent."""
    if isinstance(decoded, dict):
        for key, value in decoded.items():
            mirrored(document[key], value)
    elif isinstance(decoded, list):
        assert len(document) == len(decoded)
        for sent, value in zip(document, decoded):
            mirrored(sent, value)
    else:
        assert document == decoded


def test_hypersdks_go_types_decode_it(exported: Path) -> None:
    options = {
        "path": str(exported),
        "ovf": str(exported.parent / "web01.ovf"),
        "options": {"dry_run": False, "verbose": 0, "report": {"enabled": True, "path": "r.json"}},
        "configuration": {"services": {"enable": ["sshd"]}, "hostname": {"hostname": "web01"}},
        "pipeline": {"convert": {"compress_level": 9}},
        "metadata": {"tags": {"cost_centre": 4711}},
        "hooks": {"pre_fix": [{"type": "http", "url": "https://example.com"}]},
    }
    document = manifest(run_module("artifact_manifest", options))
    sources = Path(golang.__file__).parents[1] / "hypersdk_types"
    done = subprocess.run(
        [str(golang.go()), "run", "."],
        cwd=sources,
        input=exported.read_text(),
        env={**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    decoded = json.loads(done.stdout)
    mirrored(document, decoded)
    # Nothing of the contract that these types have got lost on the way, 0 and false included.
    assert decoded["disks"][0]["boot_order_hint"] == 0
    assert decoded["options"] == document["options"]
    assert decoded["pipeline"] == document["pipeline"]
    assert set(document) - set(decoded) == {"hooks"}
