# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""qemu-img, as the referee, sees the identical disk in the tests' own VMDKs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support import compressible, stream_optimized
from ansible_collections.hypersdk.hyper2kvm.tests.unit.plugins.module_utils.vmdk import disks

TABLE_SPAN = 512 * 65536


def compare(raw: Path, vmdk: Path) -> int:
    argv = ["qemu-img", "compare", "-f", "raw", "-F", "vmdk", "--", str(raw), str(vmdk)]
    return subprocess.run(argv, check=False, capture_output=True).returncode


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A sparse disk of 40 GiB and a bit, with data at its start, its end and between."""
    path = tmp_path / "disk.raw"
    size = (40 << 30) + 512
    with path.open("wb") as image:
        image.truncate(size)
        for place in (0, 1_000_003, TABLE_SPAN - 7, 5 * TABLE_SPAN, (30 << 30) + 12345):
            image.seek(place)
            image.write(compressible.grain(place, 0) * 40)
        image.seek(size - 1)
        image.write(b"\1")
    return path


@pytest.mark.parametrize("form", stream_optimized.FORMS)
def test_qemu_img_reads_the_identical_disk(raw: Path, form: str) -> None:
    vmdk = raw.with_suffix(".vmdk")
    stream_optimized.write(raw, vmdk, form=form)
    facts = json.loads(
        subprocess.run(
            ["qemu-img", "info", "--output=json", "--", str(vmdk)], check=True, capture_output=True
        ).stdout
    )
    assert facts["virtual-size"] == raw.stat().st_size
    assert facts["format-specific"]["data"]["create-type"] == "streamOptimized"
    assert compare(raw, vmdk) == 0


def test_qemu_img_sees_a_difference_of_one_byte(raw: Path) -> None:
    vmdk = raw.with_suffix(".vmdk")
    stream_optimized.write(raw, vmdk, form="esxi")
    with raw.open("r+b") as image:
        image.seek((30 << 30) + 12345)
        image.write(b"!")
    assert compare(raw, vmdk) == 1


def test_the_benchmarks_two_forms_are_the_same_disk(tmp_path: Path) -> None:
    raw, vmdk = tmp_path / "disk.raw", tmp_path / "disk.vmdk"
    compressible.write(raw, 64 << 20, seed=3, form="raw")
    compressible.write(vmdk, 64 << 20, seed=3)
    assert compare(raw, vmdk) == 0


def test_qemu_img_reads_grains_without_addresses_as_we_do(tmp_path: Path) -> None:
    vmdk, raw = tmp_path / "disk.vmdk", tmp_path / "disk.raw"
    vmdk.write_bytes(disks.unmarked_layout(sizes=False))
    raw.write_bytes(disks.raw_image())
    # qemu asks for twice a grain from wherever one begins.
    os.truncate(vmdk, vmdk.stat().st_size + 2 * disks.GRAIN)
    assert compare(raw, vmdk) == 0
