# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What artifact_manifest_info finds wrong with a package whose manifest was right."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.strictness import (
    FILE_DIFFERENCES,
    FileDifference,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.hyper2kvm_loader import hyper2kvm_loads
from ansible_collections.hypersdk.hyper2kvm.tests.support.manifest_packages import (
    MIB,
    VMWARE_DISKS,
    edit,
    exported_package,
    make_image,
    sha256,
    verified,
)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """The manifest of a package of VMware's."""
    return exported_package(tmp_path)


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
            # Both disks may have the same size, and the first one comes first.
            text = text.replace(old, new, 1)
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


@pytest.mark.parametrize("read", [True, False])
def test_a_disk_that_ends_early_is_found_with_and_without_reading_it(
    exported: Path, read: bool
) -> None:
    cut_and_blessed(exported)
    result = verified(exported, verify_checksums=read, fail_on_error=False)
    (finding,) = [each for each in result["findings"] if each["severity"] == "error"]
    assert finding["path"] == "disks[0].local_path"
    assert "The VMDK ends early, at byte 65536" in finding["message"]


def test_sha1_listings_are_checked_too(exported: Path) -> None:
    disk = exported.parent / VMWARE_DISKS[0]
    digest = hashlib.sha1(disk.read_bytes()).hexdigest()
    (exported.parent / "web01.mf").write_text(f"SHA1({disk.name})= {digest}\n")
    assert verified(exported)["findings"] == []
    (exported.parent / "web01.mf").write_text(f"SHA1({disk.name})= {'0' * 40}\n")
    (finding,) = verified(exported, fail_on_error=False)["findings"]
    assert "says sha1 0000" in finding["message"]


def no_checksums(path: Path) -> None:
    """Take out what hyper2kvm would find too."""
    edit(path, disks=lambda disks: [disk.pop("checksum") for disk in disks])


def backed(path: Path) -> None:
    overlay = path.parent / "overlay.qcow2"
    base = make_image(path.parent / "base.qcow2", "qcow2")
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base)]
    subprocess.run([*create, str(overlay)], check=True)
    entry = {
        "local_path": str(overlay),
        "source_format": "qcow2",
        "bytes": overlay.stat().st_size,
    }
    edit(path, disks=lambda disks: disks[0].update(entry))


#: By what FILE_DIFFERENCES say is refused, ways to make such a manifest.
FILES: dict[str, list[Callable[[Path], object]]] = {
    "bytes that are not the size of the file": [
        lambda path: edit(path, disks=lambda disks: disks[0].update(bytes=5)),
        cut,
    ],
    "A source_format that the file's content contradicts": [
        lambda path: edit(path, disks=lambda disks: disks[0].update(source_format="raw")),
    ],
    "A local_path that is no regular file": [
        lambda path: edit(path, disks=lambda disks: disks[0].update(local_path=str(path.parent))),
    ],
    "A disk that needs another file, or that ends early": [backed, cut_and_blessed],
    "A .mf or an .ovf beside the disks that says something else": [damaged_byte, other_capacity],
}


@pytest.mark.parametrize("difference", FILE_DIFFERENCES, ids=lambda difference: difference.what)
def test_hyper2kvm_would_not_notice(tmp_path: Path, difference: FileDifference) -> None:
    for number, change in enumerate(FILES[difference.what]):
        path = exported_package(tmp_path / str(number))
        no_checksums(path)
        change(path)
        hyper2kvm_loads(path)
        errors = [
            finding
            for finding in verified(path, fail_on_error=False)["findings"]
            if finding["severity"] == "error"
        ]
        assert any(re.search(difference.place, finding["path"]) for finding in errors), errors
