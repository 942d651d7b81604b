# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""kvm_boot_check with Secure Boot, a TPM and the guest agent, and several checks at once."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support import boot_sector, tiny_linux
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module

pytestmark = pytest.mark.emulated

LOGIN = "\r\nDebian GNU/Linux 12 web01 ttyS0\r\n\r\nweb01 login: "

AGENT = """\
for port in /sys/class/virtio-ports/*; do
    mkdir -p /dev/virtio-ports /run /var/run
    [ -e $port/name ] && ln -s /dev/$(basename $port) /dev/virtio-ports/$(cat $port/name)
done
sleep 3
qemu-ga --daemonize --method virtio-serial --path /dev/virtio-ports/org.qemu.guest_agent.0 \
    --pidfile /run/qemu-ga.pid --statedir /run
"""


def boot(image: Path, directory: Path, script: str, **options: Any) -> dict[str, Any]:
    disk = tiny_linux.script_disk(directory / "disk-1.raw", script)
    return run_module(
        "kvm_boot_check",
        {
            "disks": [str(image), str(disk)],
            "evidence_dir": str(directory / "evidence"),
            "memory_mb": 512,
            **options,
        },
    )


def test_secure_boot_with_a_tpm_and_the_agent(tmp_path: Path) -> None:
    """Debian's shim, GRUB and kernel, which Microsoft and Debian have signed."""
    script = (
        "dmesg | grep -i 'secure boot'\n"
        "echo tpm $(cat /sys/class/tpm/tpm0/tpm_version_major)\n"
        f"ip link set eth0 up\nip addr add 192.0.2.10/24 dev eth0\n{AGENT}"
    )
    result = boot(
        tiny_linux.uefi_disk(),
        tmp_path,
        script,
        firmware="uefi",
        secure_boot=True,
        tpm=True,
        ready="agent",
        macs=["00:50:56:8a:10:01"],
        expect=[{"address": "192.0.2.10"}],
    )
    assert result.get("booted") is True, result
    console = Path(result["console_path"]).read_text(errors="replace")
    assert "Secure boot enabled" in console
    assert "tpm 2" in console
    assert result["agent"]["version"]
    assert "192.0.2.10" in result["agent"]["addresses"]
    assert result["answers"][0]["answered"] is True
    assert [image["unchanged"] for image in result["images"]] == [True, True]


def test_secure_boot_refuses_what_is_not_signed(tmp_path: Path) -> None:
    image = tiny_linux.uefi_disk(signed=False)
    options = {"firmware": "uefi", "timeout": 300}
    result = boot(image, tmp_path, tiny_linux.LOGIN, secure_boot=True, **options)
    assert (result["failed"], result["state"]) == (True, "secure_boot_violation"), result
    # So it is Secure Boot that refuses it.
    assert boot(image, tmp_path, tiny_linux.LOGIN, secure_boot=False, **options)["booted"] is True


def test_an_agent_that_is_not_there(tmp_path: Path) -> None:
    disk = boot_sector.disk(tmp_path / "disk-0.raw", LOGIN)
    options = {"disks": [str(disk)], "ready": "agent", "timeout": 6}
    result = run_module("kvm_boot_check", options)
    assert (result["failed"], result["state"]) == (True, "timeout")
    assert "the QEMU guest agent did not answer within 6 s" in result["msg"]
    assert result["matched"] == "web01 login:"


def test_secure_boot_needs_uefi(tmp_path: Path) -> None:
    disk = boot_sector.disk(tmp_path / "disk-0.raw", LOGIN)
    result = run_module("kvm_boot_check", {"disks": [str(disk)], "secure_boot": True})
    assert "firmware is not UEFI" in result["msg"]


def available_mb() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("MemAvailable"))


def check_of(directory: Path, **options: Any) -> tuple[dict[str, Any], float]:
    directory.mkdir()
    disk = boot_sector.disk(directory / "disk-0.raw", options.pop("text", LOGIN))
    began = time.monotonic()
    return run_module("kvm_boot_check", {"disks": [str(disk)], **options}), began


def test_checks_wait_for_each_other_s_memory(tmp_path: Path) -> None:
    """Two that fit together only if each waits for what the other may still take."""
    memory = int(available_mb() * 0.6)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(check_of, tmp_path / "a", memory_mb=memory, text="\r\nbusy", timeout=12)
        time.sleep(4)
        second, _began = check_of(tmp_path / "b", memory_mb=memory, timeout=300)
        assert first.result()[0]["state"] == "timeout"
    assert second.get("booted") is True, second
    assert second["memory_wait"] > 2
    assert first.result()[0]["memory_wait"] < 2


def test_checks_that_fit_run_together(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda name: check_of(tmp_path / name, memory_mb=128)[0], "abc"))
    assert [result.get("booted") for result in done] == [True] * 3
    assert all(result["memory_wait"] < 1 for result in done)


def test_memory_that_does_not_come(tmp_path: Path) -> None:
    memory = int(available_mb() * 0.6)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(check_of, tmp_path / "a", memory_mb=memory, text="\r\nbusy", timeout=20)
        time.sleep(4)
        second, began = check_of(tmp_path / "b", memory_mb=memory, memory_timeout=3)
        assert time.monotonic() - began < 15
        assert second["failed"] is True
        assert "1 other check holds" in second["msg"]
        assert "memory_timeout" in second["msg"]
        first.result()


def test_more_memory_than_the_host_has(tmp_path: Path) -> None:
    result, began = check_of(tmp_path / "a", memory_mb=1 << 24)
    assert time.monotonic() - began < 30
    assert "and this host has" in result["msg"]


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_a_nic_is_not_booted_from(tmp_path: Path, firmware: str) -> None:
    disk = tmp_path / "disk-0.raw"
    disk.write_bytes(bytes(1 << 20))
    options = {"disks": [str(disk)], "firmware": firmware, "macs": ["00:50:56:8a:10:01"]}
    began = time.monotonic()
    result = run_module("kvm_boot_check", {**options, "timeout": 300})
    assert result["state"] == "no_bootable_device"
    assert time.monotonic() - began < 150
    assert json.dumps(result["nics"][0]["addresses"]) == "[]"
