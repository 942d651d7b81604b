# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""hyper2kvm_convert with the real hyper2kvm: what it makes, what it leaves, what it does not believe.

That FIX makes a real guest boot is shown end to end (test_end_to_end.py). Here it
runs only as far as is needed to stop it; the other stages take seconds.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.guests import debian_bios
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest
from ansible_collections.hypersdk.hyper2kvm.tests.support import exported, stream_optimized
from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import cache_dir
from ansible_collections.hypersdk.hyper2kvm.tests.support.exported import Exported
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import (
    COLLECTIONS_ROOT,
    run_module,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.processes import is_gone, with_argument

WITHOUT_FIX = ["inspect", "convert", "validate"]
MODULE = "ansible_collections.hypersdk.hyper2kvm.plugins.modules.hyper2kvm_convert"


@pytest.fixture(scope="session")
def small_disks(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two stream-optimized disks of 4 MiB, in ESXi's and in qemu-img's form."""
    directory = tmp_path_factory.mktemp("small")
    disks = []
    for number, form in enumerate(("esxi", "qemu")):
        raw, vmdk = directory / f"{number}.raw", directory / f"{number}.vmdk"
        content = random.Random(number).randbytes(1 << 20)
        raw.write_bytes((bytes(1 << 20) + content).ljust(4 << 20, b"\0"))
        if form == "esxi":
            stream_optimized.write(raw, vmdk, form=form)
        else:
            command = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk"]
            subprocess.run([*command, "-o", "subformat=streamOptimized", raw, vmdk], check=True)
        disks.append(vmdk)
    return disks


@pytest.fixture
def small(small_disks: list[Path], tmp_path: Path) -> Exported:
    return exported.make(tmp_path / "web01", small_disks)


class Convert:
    """Runs the module with the hyper2kvm that the role conversion_host installed."""

    def __init__(self, executable: Path) -> None:
        self.executable = executable

    def options(self, vm: Exported, **options: Any) -> dict[str, Any]:
        return {
            "manifest": str(vm.manifest),
            "executable": str(self.executable),
            "environment": {"LIBGUESTFS_CACHEDIR": str(cache_dir("appliance"))},
            **options,
        }

    def __call__(self, vm: Exported, *, check: bool = False, **options: Any) -> dict[str, Any]:
        return run_module("hyper2kvm_convert", self.options(vm, **options), check=check)


@pytest.fixture(scope="session")
def convert(hyper2kvm_executable: Path) -> Convert:
    return Convert(hyper2kvm_executable)


def is_same(first: Path, second: Path) -> bool:
    command = ["qemu-img", "compare", "-q", str(first), str(second)]
    return subprocess.run(command, check=False).returncode == 0


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


def qcow2_of(path: Path) -> dict[str, Any]:
    command = ["qemu-img", "info", "--output=json", str(path)]
    info: dict[str, Any] = json.loads(
        subprocess.run(command, check=True, capture_output=True).stdout
    )
    return {"size": path.stat().st_size, **info["format-specific"]["data"]}


def test_compression(convert: Convert, tmp_path: Path) -> None:
    """The option decides, then the manifest; its level is left out, with which qemu-img would fail."""
    disk = tmp_path / "text.raw"
    disk.write_bytes((b"the same over and over again\n" * 150_000).ljust(8 << 20, b"\0"))
    pipeline = {"convert": {"enabled": True, "compress": True, "compress_level": 9}}
    vm = exported.make(tmp_path / "web01", [disk], pipeline=pipeline)
    compressed = convert(vm)
    assert compressed.get("changed") is True, compressed
    image = Path(compressed["outputs"][0]["path"])
    assert (qcow2_of(image)["size"] < 2 << 20, qcow2_of(image)["compression-type"]) == (
        True,
        "zstd",
    )
    assert "compress_level" in str(compressed["warnings"])
    assert "attempt" not in Path(compressed["log_path"]).read_text()
    plain = convert(vm, compress=False)
    assert plain["changed"] is True
    assert "warnings" not in plain
    assert qcow2_of(image)["size"] > 4 << 20
    assert convert(vm, compress=False)["changed"] is False


def test_the_rest_of_the_host_comes_first(
    convert: Convert, conversion_python: Path, small: Exported, tmp_path: Path
) -> None:
    seen = small.out / "limits"
    program = tmp_path / "bin" / "hyper2kvm"
    program.parent.mkdir()
    program.write_text(
        f"#!{conversion_python}\n"
        "import os, resource, sys\n"
        f"with open({str(seen)!r}, 'w') as file:\n"
        "    print(os.nice(0), resource.getrlimit(resource.RLIMIT_AS)[0] >> 20, file=file)\n"
        f"os.execv({str(convert.executable)!r}, [{str(convert.executable)!r}, *sys.argv[1:]])\n"
    )
    program.chmod(0o755)
    options = {"stages": WITHOUT_FIX, "executable": str(program)}
    result = convert(small, nice=7, memory_limit=3000, **options)
    assert result.get("changed") is True, result
    assert seen.read_text() == "7 3000\n"
    # How it is run makes no difference to what comes out.
    assert convert(small, nice=3, memory_limit=0, **options)["changed"] is False


def test_other_formats_come_in_through_qemu_img(convert: Convert, tmp_path: Path) -> None:
    image = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "4M"], check=True)
    subprocess.run(["qemu-io", "-c", "write -P 65 1M 4k", image], check=True, capture_output=True)
    vm = exported.make(tmp_path / "web01", [image])
    result = convert(vm, stages=WITHOUT_FIX)
    assert result.get("changed") is True, result
    assert is_same(Path(result["outputs"][0]["path"]), image)


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


# A hyper2kvm that does all its work, and then something goes wrong with it.
_AFTERWARDS = """#!{python}
import subprocess, sys
status = subprocess.run([{executable!r}, *sys.argv[1:]]).returncode
subprocess.run({command!r}, check=True, stdout=subprocess.DEVNULL)
sys.exit(status)
"""


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


@pytest.fixture
def endless(small: Exported) -> dict[str, str]:
    """Variables with which FIX never ends: libguestfs starts a program that waits instead of QEMU."""
    small.out.mkdir()
    program = small.out / "qemu"
    program.write_text("#!/bin/sh\nexec sleep 86403\n")
    program.chmod(0o755)
    return {"LIBGUESTFS_CACHEDIR": str(cache_dir("appliance")), "LIBGUESTFS_HV": str(program)}


def test_fix_that_takes_too_long_leaves_nothing(
    convert: Convert, small: Exported, endless: dict[str, str]
) -> None:
    result = convert(small, timeout=25, environment=endless)
    assert result["failed"] is True
    assert "time-out" in result["msg"]
    assert "in fix" in result["msg"]
    assert Path(result["log_path"]).exists()
    assert with_argument(str(small.directory / "work" / "scratch" / "fix-manifest.json")) == []
    assert with_argument("86403") == []
    assert small.is_untouched()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_module_that_is_killed_in_fix_leaves_no_process(
    convert: Convert, small: Exported, endless: dict[str, str], number: signal.Signals
) -> None:
    manifest = str(small.directory / "work" / "scratch" / "fix-manifest.json")
    module = subprocess.Popen(
        [sys.executable, "-m", MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(COLLECTIONS_ROOT)},
        text=True,
    )
    try:
        assert module.stdin is not None
        arguments = convert.options(small, environment=endless)
        module.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
        module.stdin.close()
        deadline = time.monotonic() + 60
        while not with_argument("86403") and time.monotonic() < deadline:
            time.sleep(0.1)
        running = [*with_argument(manifest), *with_argument("86403")]
        # hyper2kvm, what libguestfs started, and bubblewrap twice.
        assert len(running) >= 4
        module.send_signal(number)
        module.wait(60)
        assert all(is_gone(pid) for pid in running)
        assert with_argument(manifest) == []
        assert with_argument("86403") == []
    finally:
        module.kill()
        module.wait()
        if module.stdout:
            module.stdout.close()
    # What a killed module could not take away does not stand in the way of the next run.
    assert convert(small, stages=WITHOUT_FIX)["changed"] is True
    assert small.is_untouched()


def test_how_far_it_is_can_be_read_meanwhile(convert: Convert, tmp_path: Path) -> None:
    """By what is read of what the disk holds: half of this one is empty, and the rest compresses well."""
    disk = tmp_path / "text.raw"
    words = [random.Random(number).randbytes(9) for number in range(400)]
    chooser = random.Random(1)
    with disk.open("wb") as file:
        for _turn in range(192):
            file.write(b"".join(chooser.choices(words, k=(1 << 20) // 9)))
        file.truncate(1 << 30)
    vm = exported.make(tmp_path / "web01", [disk])
    arguments = convert.options(vm, stages=["convert"], nice=19)
    states: list[dict[str, Any]] = []
    with ThreadPoolExecutor(max_workers=1) as executor:
        done = executor.submit(run_module, "hyper2kvm_convert", arguments)
        while not done.done():
            with suppress(OSError, ValueError):
                state = json.loads((vm.out / ".conversion-progress.json").read_text())
                if state["stage"] == "convert disk-0" and state not in states:
                    states.append(state)
            time.sleep(0.1)
        assert done.result().get("changed") is True, done.result()
    percents = [state["percent"] for state in states if state["percent"] is not None]
    assert len(percents) >= 3, states
    assert percents == sorted(percents)
    assert percents[-1] > 60
    assert any(state["seconds_left"] for state in states)
