# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Headers made by hand; tests/system compares those of real images with qemu-img."""

from __future__ import annotations

import os
import struct

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.findings import (
    ManifestError,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.image_structure import (
    check_structure,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.images import identify


@pytest.fixture
def image(tmp_path):
    def write(content, size=None):
        path = tmp_path / "disk"
        path.write_bytes(content)
        if size:
            os.truncate(path, size)
        return identify(path)

    return write


def vhd_footer(capacity, kind, creator=b"win ", geometry=(0, 0, 0)):
    return struct.pack(
        ">8sIIQI4sI4sQQHBBI", b"conectix", 2, 0x10000, 2**64 - 1, 0, creator, 0, b"Wi2k",
        capacity, capacity, *geometry, kind,
    ).ljust(512, b"\0")  # fmt: skip


def test_raw_has_no_header(image):
    found = image(b"\x33\xc0" + b"\0" * 510)
    assert (found.source_format, found.size, found.capacity) == ("raw", 512, 512)


def test_fixed_vhd_as_azure_exports_it(image):
    found = image(b"\0" * 4096 + vhd_footer(4096, 2))
    assert (found.source_format, found.capacity, found.variant) == ("vhd", 4096, "fixed")


def test_old_vhd_with_a_footer_of_511_bytes(image):
    found = image(b"\0" * 4096 + vhd_footer(4096, 2)[:511])
    assert (found.source_format, found.capacity) == ("vhd", 4096)


def test_virtual_pc_goes_by_geometry(image):
    found = image(b"\0" * 4096 + vhd_footer(1, 2, b"vpc ", (10, 4, 17)))
    assert found.capacity == 10 * 4 * 17 * 512


def test_differencing_images_need_their_parent(image):
    assert image(vhd_footer(4096, 4) + b"\0" * 512 + vhd_footer(4096, 4)).refers_to == (
        "its parent",
    )


def test_qcow2_with_an_external_data_file(image):
    header = struct.pack(">4sIQIIQIIQQIIQQ", b"QFI\xfb", 3, 0, 0, 16, 4096, 0, 0, 0, 0, 0, 0, 0, 4)
    assert image(header, 1024).refers_to == ("external data file",)


def test_qcow2_with_a_backing_file(image):
    header = struct.pack(
        ">4sIQIIQIIQQIIQQ", b"QFI\xfb", 2, 104, 9, 16, 4096, 0, 0, 0, 0, 0, 0, 0, 0
    )
    found = image(header.ljust(104, b"\0") + b"/etc/base")
    assert (found.capacity, found.refers_to) == (4096, ("/etc/base",))


def test_vmdk_descriptor_with_extents(image):
    found = image(
        b'# Disk DescriptorFile\nversion=1\ncreateType="twoGbMaxExtentFlat"\n'
        b'RW 4 FLAT "../x-f001.vmdk" 0\nRW 4 FLAT "x-f002.vmdk" 0\n'
    )
    assert (found.source_format, found.capacity, found.variant) == (
        "vmdk",
        4096,
        "twoGbMaxExtentFlat",
    )
    assert found.refers_to == ("../x-f001.vmdk", "x-f002.vmdk")


def test_vmdk_with_a_parent(image):
    descriptor = b'# Disk DescriptorFile\nparentFileNameHint="base.vmdk"\nRW 8 SPARSE "own.vmdk"\n'
    header = struct.pack("<4sIIQQQQ", b"KDMV", 3, 3, 8, 128, 1, 1).ljust(512, b"\0")
    found = image(header + descriptor.ljust(512, b"\0"))
    assert (found.capacity, found.variant, found.refers_to) == (
        4096,
        "monolithicSparse",
        ("base.vmdk",),
    )


def test_vmdk_of_a_stream(image):
    header = struct.pack("<4sIIQQQQ", b"KDMV", 3, 0x30001, 8, 128, 0, 0).ljust(512, b"\0")
    assert image(header).variant == "streamOptimized"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"KDMV\3\0", "ends within its own header"),
        (b"QFI\xfb\0\0\0\3", "ends within its own header"),
        (b"QFI\xfb\0\0\0\1" + b"\0" * 40, "qcow of version 1"),
        (b"conectix", "ends within its own header"),
    ],
)
def test_broken(image, content, message):
    with pytest.raises(ManifestError, match=message):
        image(content)


def test_vhdx_without_its_metadata_has_no_known_capacity(image):
    found = image(b"vhdxfile", 1024 * 1024)
    assert (found.source_format, found.capacity) == ("vhdx", None)


def test_no_regular_file(tmp_path):
    with pytest.raises(ManifestError, match="is not a regular file"):
        identify(tmp_path)
    with pytest.raises(ManifestError, match="does not exist"):
        identify(tmp_path / "none")


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"\x1f\x8b\x08\x00", "compressed with gzip"),
        (b"PK\x03\x04", "a zip archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
        (b'<?xml version="1.0"?>', "an XML document"),
        (b"COWD\x01\x00\x00\x00", "a delta of an ESXi snapshot"),
        (b"\xbe\xba\xfe\xca\x00\x00\x00\x00", "a delta of an ESXi snapshot"),
    ],
)
def test_no_disks(tmp_path, head, message):
    path = tmp_path / "disk.raw"
    path.write_bytes(head.ljust(4096, b"\0"))
    with pytest.raises(ManifestError, match=f"{path} is {message}, not a disk") as caught:
        identify(path)
    assert caught.value.action
    # Behind a fixed VHD's footer it is the guest's own data.
    footer = bytearray(b"conectix".ljust(512, b"\0"))
    footer[60:64] = (2).to_bytes(4, "big")
    path.write_bytes(head.ljust(4096, b"\0") + footer)
    assert identify(path).source_format == "vhd"


def test_tables_of_any_size_may_be_claimed(tmp_path):
    path = tmp_path / "disk.vmdk"
    header = struct.pack("<4sIIQQQQIQQ", b"KDMV", 1, 3, 1 << 60, 1, 0, 0, 1, 0, 21)
    path.write_bytes(header.ljust(65536, b"\0"))
    with pytest.raises(ManifestError, match=r"reaches to byte \d{19}"):
        check_structure(path, identify(path))
