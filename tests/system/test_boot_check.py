# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""kvm_boot_check with the real QEMU, on guests of one sector and on a real one that can't boot."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support import boot_sector
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import (
    COLLECTIONS_ROOT,
    run_module,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.processes import is_gone, with_argument

LOGIN = "\r\nDebian GNU/Linux 12 web01 ttyS0\r\n\r\nweb01 login: "


def check(*disks: Path, **options: Any) -> dict[str, Any]:
    options = {"timeout": 120, **options}
    return run_module("kvm_boot_check", {"disks": [str(disk) for disk in disks], **options})


def digest(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_guest_that_comes_up(tmp_path: Path) -> None:
    disk = boot_sector.disk(tmp_path / "disk-0.raw", LOGIN)
    before = digest(disk)
    result = check(disk)
    assert result.get("booted") is True, result
    assert result["changed"] is False
    assert result["matched"] == "web01 login:"
    assert result["answers"] == []
    assert result["accelerator"] in ("kvm", "tcg")
    assert 0 < result["seconds"] < 120
    assert result["images"] == [{"path": str(disk), "checksum": before, "unchanged": True}]
    evidence = tmp_path / "boot-check"
    assert result["console_path"] == str(evidence / "console.log")
    assert b"web01 login:" in (evidence / "console.log").read_bytes()
    assert sorted(path.name for path in evidence.iterdir()) == [
        "console.log",
        "result.json",
        "screenshot.png",
    ]
    recorded = json.loads((evidence / "result.json").read_text())
    assert {**recorded, "changed": False} == {key: result[key] for key in {*recorded, "changed"}}


def test_the_screenshot_is_a_picture(tmp_path: Path) -> None:
    result = check(boot_sector.disk(tmp_path / "disk-0.raw", LOGIN))
    picture = Path(result["screenshot_path"]).read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    assert width >= 640
    assert height >= 350


def test_what_the_guest_writes_is_thrown_away(tmp_path: Path) -> None:
    disk = boot_sector.disk(tmp_path / "disk-0.raw", LOGIN, write_to_disk=True)
    before = digest(disk)
    # It says nothing unless its BIOS told it that the write succeeded.
    assert check(disk)["booted"] is True
    assert digest(disk) == before


def test_a_qcow2_image(tmp_path: Path) -> None:
    raw = boot_sector.disk(tmp_path / "disk.raw", LOGIN, write_to_disk=True)
    image = tmp_path / "disk-0.qcow2"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, image], check=True)
    before = digest(image)
    assert check(image)["booted"] is True
    assert digest(image) == before


@pytest.mark.parametrize(
    "options", [{}, {"disk_bus": "virtio-scsi"}, {"machine": "pc"}], ids=["blk", "scsi", "pc"]
)
def test_all_disks_are_there_in_their_order(tmp_path: Path, options: dict[str, Any]) -> None:
    first = boot_sector.disk(tmp_path / "disk-0.raw", "\r\nsecond: ", print_second_disk=True)
    second = tmp_path / "disk-1.raw"
    second.write_bytes(b"the data disk\r\n".ljust(1 << 20, b"\0"))
    result = check(first, second, pattern="second: the data disk", **options)
    assert result.get("booted") is True, result
    assert [image["unchanged"] for image in result["images"]] == [True, True]


def test_the_manifest_says_what_to_boot(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    data = boot_sector.disk(out / "disk-0.raw", "\r\nwrong disk")
    boot = boot_sector.disk(out / "disk-1.raw", LOGIN)
    (out / "conversion.json").write_text(
        json.dumps({"outputs": [{"id": p.stem, "path": str(p)} for p in (boot, data)]})
    )
    disks = [
        {
            "id": f"disk-{n}",
            "source_format": "raw",
            "bytes": 1 << 20,
            "boot_order_hint": 1 - n,
            "local_path": str(out / f"disk-{n}.raw"),
        }
        for n in (0, 1)
    ]
    manifest = tmp_path / "artifact-manifest.json"
    document = {
        "manifest_version": "1.0",
        "vm": {"cpu": 64, "mem_gb": 512, "firmware": "bios"},
        "disks": disks,
        "pipeline": {"convert": {"enabled": True}},
        "nics": [{"id": "nic-0", "mac": "00:50:56:8a:10:01", "network": "VM Network"}],
    }
    manifest.write_text(json.dumps(document))
    result = run_module("kvm_boot_check", {"manifest": str(manifest), "timeout": 120})
    assert result.get("booted") is True, result
    assert [Path(image["path"]).name for image in result["images"]] == ["disk-0.raw", "disk-1.raw"]
    assert result["console_path"] == str(out / "boot-check" / "console.log")


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("\r\n[    4.2] Kernel panic - not syncing: VFS: Unable to mount root fs", "kernel_panic"),
        ("\r\nALERT!  /dev/sda1 does not exist.\r\n(initramfs) ", "initramfs"),
        ("\r\nEntering rescue mode...\r\ngrub rescue> ", "grub_rescue"),
        ("\r\nYou are in emergency mode.\r\n", "emergency_mode"),
        ("\r\nPlease unlock disk sda3_crypt: ", "passphrase"),
        ("\r\nerror: you need to load the kernel first.\r\n", "grub_error"),
    ],
)
def test_a_guest_that_is_stuck_fails_at_once(tmp_path: Path, text: str, state: str) -> None:
    disk = boot_sector.disk(tmp_path / "disk-0.raw", text)
    began = time.monotonic()
    result = check(disk, timeout=300)
    assert time.monotonic() - began < 100
    assert (result["failed"], result["booted"], result["state"]) == (True, False, state)
    assert result["tail"]
    assert result["reason"] in result["msg"]
    assert result["console_path"] in result["msg"]
    assert Path(result["screenshot_path"]).exists()
    assert result["images"][0]["unchanged"] is True
    assert json.loads((tmp_path / "boot-check/result.json").read_text())["state"] == state


def test_an_empty_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk-0.raw"
    disk.write_bytes(bytes(1 << 20))
    assert check(disk)["state"] == "no_bootable_device"


def test_an_empty_disk_under_uefi(tmp_path: Path) -> None:
    disk = tmp_path / "disk-0.raw"
    disk.write_bytes(bytes(1 << 20))
    result = check(disk, firmware="uefi", timeout=300)
    assert result["state"] == "no_bootable_device"
    assert any("BdsDxe" in line or "Shell" in line for line in result["tail"])


def test_a_silent_guest_times_out(tmp_path: Path) -> None:
    disk = boot_sector.disk(tmp_path / "disk-0.raw", "\r\nbusy")
    result = check(disk, timeout=6)
    assert result["state"] == "timeout"
    assert "within 6 s" in result["msg"]
    assert "use ready: answers" in result["msg"]
    assert 6 <= result["seconds"] < 20
    assert "busy" in "".join(result["tail"])


def test_a_guest_that_switches_itself_off(tmp_path: Path) -> None:
    disk = boot_sector.disk(tmp_path / "disk-0.raw", "\r\nbye", power_off=True)
    result = check(disk)
    assert (result["failed"], result["state"]) == (True, "ended")


def test_a_damaged_image_says_what_qemu_said(tmp_path: Path) -> None:
    disk = tmp_path / "disk-0.qcow2"
    disk.write_bytes(b"no image")
    result = check(disk)
    assert result["state"] == "ended"
    assert "qcow2" in result["msg"]


def test_check_mode_boots_nothing(tmp_path: Path) -> None:
    disk = boot_sector.disk(tmp_path / "disk-0.raw", LOGIN)
    result = run_module("kvm_boot_check", {"disks": [str(disk)]}, check=True)
    assert (result["changed"], result["booted"]) == (False, None)
    assert [path.name for path in tmp_path.iterdir()] == ["disk-0.raw"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pattern": "(login"}, "no regular expression"),
        ({"disks": ["/no/such/disk.raw"]}, "/no/such/disk.raw does not exist"),
        ({"disks": ["/etc/hostname"]}, "can't be told from its name"),
        ({"disks": None}, "Neither a manifest nor disks"),
    ],
)
def test_refusals(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    disk = boot_sector.disk(tmp_path / "disk-0.raw", LOGIN)
    result = run_module("kvm_boot_check", {"disks": [str(disk)], **options})
    assert result["failed"] is True
    assert words in result["msg"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_module_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    disk = boot_sector.disk(tmp_path / "disk-0.raw", "\r\nbusy")
    module = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "ansible_collections.hypersdk.hyper2kvm.plugins.modules.kvm_boot_check",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(COLLECTIONS_ROOT)},
        text=True,
    )
    drive = f"if=none,id=disk0,format=raw,file={disk}"
    try:
        assert module.stdin is not None
        arguments = {"ANSIBLE_MODULE_ARGS": {"disks": [str(disk)], "timeout": 600}}
        module.stdin.write(json.dumps(arguments))
        module.stdin.close()
        deadline = time.monotonic() + 60
        # bubblewrap and its first process have it on their command lines as well.
        while len(with_argument(drive)) < 3 and time.monotonic() < deadline:
            time.sleep(0.1)
        running = with_argument(drive)
        assert len(running) >= 3
        module.send_signal(number)
        module.wait(60)
        assert all(is_gone(pid) for pid in running)
        assert with_argument(drive) == []
    finally:
        module.kill()
        module.wait()
        if module.stdout:
            module.stdout.close()
