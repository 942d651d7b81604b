# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""hyper2kvm_convert with the real hyper2kvm: what it refuses, and what it does not believe."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support import exported
from ansible_collections.hypersdk.hyper2kvm.tests.support.converting import (
    WITHOUT_FIX,
    Convert,
    is_same,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.exported import Exported

# A hyper2kvm that does all its work, and then something goes wrong with it.
_AFTERWARDS = """#!{python}
import subprocess, sys
status = subprocess.run([{executable!r}, *sys.argv[1:]]).returncode
subprocess.run({command!r}, check=True, stdout=subprocess.DEVNULL)
sys.exit(status)
"""


def test_an_image_that_names_a_file_of_the_host_is_refused(
    convert: Convert, tmp_path: Path
) -> None:
    image = tmp_path / "disk.qcow2"
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd"]
    subprocess.run([*command, image, "4M"], check=True)
    vm = exported.make(tmp_path / "web01", [image])
    result = convert(vm, stages=WITHOUT_FIX)
    assert result["failed"] is True
    assert "backing-filename" in result["msg"]
    assert vm.is_untouched()


def test_a_damaged_disk_is_named_and_nothing_is_left(convert: Convert, small: Exported) -> None:
    disk = small.directory / "web01-disk2.vmdk"
    data = bytearray(disk.read_bytes())
    data[len(data) // 2] ^= 0xFF
    disk.write_bytes(data)
    result = convert(small, stages=WITHOUT_FIX)
    assert result["failed"] is True
    assert str(disk) in result["msg"]
    assert "kept" not in result
    assert not (small.directory / "work").exists()
    assert list(small.out.glob("disk-*")) == []


def test_working_copies_are_kept_for_a_look_when_asked(convert: Convert, small: Exported) -> None:
    disk = small.directory / "web01-disk2.vmdk"
    whole = disk.read_bytes()
    disk.write_bytes(whole[: len(whole) // 2])
    result = convert(small, stages=WITHOUT_FIX, keep_on_failure=True)
    assert result["failed"] is True
    work = small.directory / "work"
    assert result["kept"] == str(work)
    assert str(work) in result["msg"]
    assert is_same(work / "disk-0.raw", small.directory / "web01-disk1.vmdk")
    assert (work / "scratch").stat().st_mode & 0o777 == 0o700
    disk.write_bytes(whole)
    assert convert(small, stages=WITHOUT_FIX, keep_on_failure=True)["changed"] is True
    assert not work.exists()
    assert small.is_untouched()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["qemu-io", "-f", "qcow2", "-c", "write -P 66 3M 4k", "{out}/disk-1.qcow2"], "content of"),
        (["rm", "{out}/disk-1.qcow2"], "there is no"),
        (
            ["qemu-img", "resize", "-q", "-f", "qcow2", "{out}/disk-1.qcow2", "8M"],
            "holds a disk of",
        ),
        (["truncate", "-s", "65536", "{out}/disk-1.qcow2"], "qemu-img check"),
        (["sed", "-i", 's/"validate"/"other"/', "{scratch}/convert.json"], "no stage validate"),
        (["false"], "exit status 1"),
    ],
)
def test_its_success_is_not_believed(
    convert: Convert,
    conversion_python: Path,
    small: Exported,
    tmp_path: Path,
    command: list[str],
    words: str,
) -> None:
    places = {"out": str(small.out), "scratch": str(small.directory / "work" / "scratch")}
    program = tmp_path / "bin" / "hyper2kvm"
    program.parent.mkdir()
    program.write_text(
        _AFTERWARDS.format(
            python=conversion_python,
            executable=str(convert.executable),
            command=[part.format(**places) for part in command],
        )
    )
    program.chmod(0o755)
    result = convert(small, stages=WITHOUT_FIX, executable=str(program))
    assert result["failed"] is True
    assert words in result["msg"]
    assert not (small.out / "conversion.json").exists()
    assert small.is_untouched()
    assert convert(small, stages=WITHOUT_FIX)["changed"] is True


@pytest.mark.parametrize(
    ("sections", "options", "words"),
    [
        ({"pipeline": {"fix": {"enabled": False}}}, {}, "no stage"),
        ({"options": {"dry_run": True}}, {"stages": ["convert"]}, "dry run"),
        ({}, {"mode": "queue"}, "queue_directory"),
        ({}, {"mode": "queue", "queue_directory": "/no/such/queue"}, "to_be_processed"),
        ({}, {"executable": "/no/such/hyper2kvm"}, "conversion_host"),
        ({}, {"executable": "/usr/bin/env"}, "/usr/bin/python3"),
    ],
)
def test_refusals(
    convert: Convert,
    small_disks: list[Path],
    tmp_path: Path,
    sections: dict[str, Any],
    options: dict[str, Any],
    words: str,
) -> None:
    vm = exported.make(tmp_path / "web01", small_disks, **sections)
    result = convert(vm, **options)
    assert result["failed"] is True
    assert words in result["msg"]
    assert vm.is_untouched()
    assert not vm.out.exists()
