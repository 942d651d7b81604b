# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""hyper2kvm_convert with the real hyper2kvm: what it makes, and what it leaves.

That FIX makes a real guest boot is shown end to end (test_end_to_end.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.guests import debian_bios
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest
from ansible_collections.hypersdk.hyper2kvm.tests.support import exported
from ansible_collections.hypersdk.hyper2kvm.tests.support.converting import (
    WITHOUT_FIX,
    Convert,
    is_same,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.exported import Exported


def test_a_real_guest_s_disks(convert: Convert, tmp_path: Path) -> None:
    guest: Guest = debian_bios.build()
    vm = exported.make(tmp_path / "web01", [guest.boot_disk, guest.data_disk])
    result = convert(vm, stages=WITHOUT_FIX)
    assert result.get("changed") is True, result
    assert [output["virtual_size"] for output in result["outputs"]] == [
        guest.boot.capacity,
        guest.data.capacity,
    ]
    for output, disk in zip(result["outputs"], (guest.boot, guest.data)):
        assert is_same(Path(output["path"]), disk.raw)
    assert vm.is_untouched()


def test_what_it_leaves(convert: Convert, small: Exported) -> None:
    result = convert(small, stages=WITHOUT_FIX)
    assert result.get("changed") is True, result
    assert sorted(path.name for path in small.out.iterdir()) == [
        "conversion.json",
        "disk-0.qcow2",
        "disk-1.qcow2",
        "hyper2kvm.log",
        "report.json",
    ]
    assert small.is_untouched()
    assert [output["id"] for output in result["outputs"]] == ["disk-0", "disk-1"]
    for output in result["outputs"]:
        path = Path(output["path"])
        assert output["checksum"] == f"sha256:{exported.digests(small.out)[path.name]}"
        assert (output["size"], output["virtual_size"]) == (path.stat().st_size, 4 << 20)
        assert output["format"] == "qcow2"
    assert result["fixed"] is False
    assert list(result["stages"]) == WITHOUT_FIX
    assert all(stage["success"] for stage in result["stages"].values())
    report = json.loads(Path(result["report_path"]).read_text())
    assert report["pipeline"]["success"] is True
    assert "Progress: 100.0%" in Path(result["log_path"]).read_text()
    # It quotes files of the guest.
    assert Path(result["log_path"]).stat().st_mode & 0o777 == 0o600
    assert (result["hyper2kvm_version"], result["isolation"]) == ("0.2.1", "bubblewrap")


def test_a_second_run_changes_nothing(convert: Convert, small: Exported) -> None:
    first = convert(small, stages=WITHOUT_FIX)
    before = exported.digests(small.out)
    began = time.monotonic()
    second = convert(small, stages=WITHOUT_FIX)
    assert second["changed"] is False
    assert time.monotonic() - began < 20
    assert second["outputs"] == first["outputs"]
    assert second["stages"] == first["stages"]
    assert exported.digests(small.out) == before
    assert convert(small, stages=WITHOUT_FIX, check=True)["changed"] is False


def test_a_run_with_other_options_or_without_its_result_converts_anew(
    convert: Convert, small: Exported
) -> None:
    convert(small, stages=WITHOUT_FIX)
    assert convert(small, stages=["convert"])["changed"] is True
    (small.out / "disk-1.qcow2").unlink()
    assert convert(small, stages=["convert"])["changed"] is True
    assert (small.out / "disk-1.qcow2").exists()
    with (small.out / "disk-0.qcow2").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    assert convert(small, stages=["convert"])["changed"] is True


def test_check_mode_says_what_would_be_made(convert: Convert, small: Exported) -> None:
    result = convert(small, check=True)
    assert result["changed"] is True
    assert [output["path"] for output in result["outputs"]] == [
        str(small.out / "disk-0.qcow2"),
        str(small.out / "disk-1.qcow2"),
    ]
    assert list(result["stages"]) == ["inspect", "fix", "convert", "validate"]
    assert [step.split(":")[-1] for step in result["steps"]] == [
        f"copy {small.directory}/web01-disk1.vmdk to {small.directory}/work/disk-0.raw",
        f"copy {small.directory}/web01-disk2.vmdk to {small.directory}/work/disk-1.raw",
        " inspect, fix, in a sandbox",
        "examine the guest and repair it, in a sandbox",
        " convert, validate, in a sandbox",
        "compare the converted disks with their sources, in a sandbox",
    ]
    assert not small.out.exists()
    assert small.is_untouched()


@pytest.mark.parametrize("target_format", ["raw", "vdi"])
def test_formats(
    convert: Convert, small: Exported, small_disks: list[Path], target_format: str
) -> None:
    result = convert(small, stages=WITHOUT_FIX, target_format=target_format)
    assert result.get("changed") is True, result
    for output, source in zip(result["outputs"], small_disks):
        assert output["format"] == target_format
        assert Path(output["path"]).suffix == f".{target_format}"
        assert is_same(Path(output["path"]), source.with_suffix(".raw"))


def test_the_directory_of_the_export_may_be_the_output_s(convert: Convert, small: Exported) -> None:
    result = convert(small, stages=WITHOUT_FIX, output_dir=str(small.directory))
    assert result.get("changed") is True, result
    made = {"conversion.json", "disk-0.qcow2", "disk-1.qcow2", "hyper2kvm.log", "report.json"}
    after = exported.digests(small.directory)
    assert {name: after[name] for name in after if name not in made} == small.digests
    assert made <= set(after)


def test_other_formats_come_in_through_qemu_img(convert: Convert, tmp_path: Path) -> None:
    image = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "4M"], check=True)
    subprocess.run(["qemu-io", "-c", "write -P 65 1M 4k", image], check=True, capture_output=True)
    vm = exported.make(tmp_path / "web01", [image])
    result = convert(vm, stages=WITHOUT_FIX)
    assert result.get("changed") is True, result
    assert is_same(Path(result["outputs"][0]["path"]), image)
