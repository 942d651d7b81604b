# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sandbox with the real bubblewrap: what a program in it can't do, and that nothing of it stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.sandbox import process
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.sandbox.confinement import (
    Confinement,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.sandbox.limits import Limits
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.sandbox.run import Completed, run
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import COLLECTIONS_ROOT
from ansible_collections.hypersdk.hyper2kvm.tests.support.processes import is_gone, with_argument


def shell(script: str, *, timeout: float = 30, **options: Any) -> Completed:
    return run(["sh", "-c", script], timeout=timeout, **options)


def inside_python(script: str) -> Completed:
    return run([sys.executable, "-c", script], readonly=[Path(sys.prefix)], timeout=30)


def refused(script: str, **options: Any) -> bool:
    return not shell(script, **options).ok


def test_it_works_at_all() -> None:
    assert shell("echo in").stdout == b"in\n"


def test_a_file_of_the_host_can_be_read_and_not_written(tmp_path: Path) -> None:
    assert shell("cat /etc/os-release").ok
    for directory in ("/etc", "/usr", "/var/lib", "/root"):
        assert refused(f"touch {directory}/written-from-the-sandbox")
    victim = tmp_path / "victim"
    victim.write_text("mine")
    assert refused(f"echo theirs > {victim}")
    assert refused(f"echo theirs > {victim}", readonly=[victim])
    assert shell(f"cat {victim}", readonly=[victim]).stdout == b"mine"
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("directory", ["/tmp", "/var/tmp"])
def test_what_others_keep_in_a_temporary_directory_is_not_there(directory: str) -> None:
    with tempfile.NamedTemporaryFile(dir=directory) as theirs:
        assert Path(theirs.name).exists()
        assert refused(f"cat {theirs.name}")
        assert shell(f"ls -A {directory}").stdout == b""


def test_evidence_inside_a_writable_directory_stays(tmp_path: Path) -> None:
    evidence = tmp_path / "web01-disk1.vmdk"
    evidence.write_text("exported")
    options: dict[str, Any] = {"writable": [tmp_path], "readonly": [evidence]}
    assert shell(f"echo new > {tmp_path}/disk-0.qcow2", **options).ok
    assert (tmp_path / "disk-0.qcow2").read_text() == "new\n"
    for attempt in ("echo x >", "rm -f", "truncate -s 0", "mv -f /etc/hostname", "chmod 777"):
        assert refused(f"{attempt} {evidence}", **options), attempt
    assert evidence.read_text() == "exported"


def test_a_link_that_climbs_out_changes_nothing(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    work = tmp_path / "work"
    work.mkdir()
    (work / "link").symlink_to(outside)
    (work / "up").symlink_to("../outside")
    shell(f"echo theirs > {work}/link; echo theirs > {work}/up", writable=[work])
    assert outside.read_text() == "mine"


def test_no_disk_of_the_host_is_there() -> None:
    listed = shell("find /dev -type b; ls /dev").stdout.decode().split()
    assert "null" in listed
    assert "kvm" not in listed
    assert not [name for name in listed if name.startswith(("/dev/", "sd", "vd", "nvme", "loop"))]


def test_root_can_neither_remount_nor_make_a_device() -> None:
    assert refused("mount -o remount,rw /")
    assert refused("mount -t tmpfs none /mnt")
    assert refused("mknod /tmp/disk b 8 0")


def test_no_network_but_loopback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = f"import socket; socket.create_connection(('127.0.0.1', {port}), 3)"
        assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
        refusal = inside_python(script)
        assert not refusal.ok
        assert "ConnectionRefusedError" in refusal.tail[-1]
    script = (
        "import socket; s = socket.create_server(('127.0.0.1', 0));"
        " socket.create_connection(s.getsockname(), 3); print('up')"
    )
    assert inside_python(script).stdout == b"up\n"
    assert shell("ls /sys/class/net || true; tail -n +3 /proc/net/dev").stdout.count(b"lo:") == 1


def test_sockets_of_the_host_s_services_are_out_of_reach() -> None:
    # A read-only mount does not stop connect(): only what is not there is safe.
    assert shell("ls -A /run").stdout == b""
    assert refused("test -e /run/systemd")


def test_credentials_stay_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VMWARE_PASSWORD", "secret-of-the-play")
    seen = shell("env; tr '\\0' '\\n' < /proc/1/environ; cat /proc/*/cmdline").stdout
    assert b"PATH=" in seen
    assert b"secret-of-the-play" not in seen


def test_processes_of_the_host_are_out_of_sight() -> None:
    assert shell("ls -d /proc/[0-9]* | wc -l").stdout.strip() in (b"3", b"4")


def test_a_daemon_ends_with_the_program() -> None:
    marker = "86401.25"
    assert shell(f"setsid nohup sleep {marker} >/dev/null 2>&1 & exit 0").ok
    assert all(is_gone(pid) for pid in with_argument(marker))


def test_the_time_out_takes_everything_along() -> None:
    marker = "86402.25"
    began = time.monotonic()
    completed = shell(
        f"trap '' TERM; setsid sleep {marker} & setsid sh -c 'trap \"\" TERM; sleep {marker}' &"
        " while :; do sleep 0.2; done",
        timeout=2,
    )
    assert completed.timed_out
    assert time.monotonic() - began < 20
    assert all(is_gone(pid) for pid in with_argument(marker))


def test_all_of_it_is_gone_by_the_time_that_it_is_said_to_be() -> None:
    script = "for one in 1 2 3 4 5 6 7 8; do sleep 86407 & done; echo; wait"
    said: list[bytes] = []
    for _turn in range(5):
        said.clear()
        with process.start(["/bin/sh", "-c", script], Confinement()) as running:
            while not said and running.pump(lambda _name, chunk: said.append(chunk), 0.1):
                pass
        assert with_argument("86407") == []


def test_sigterm_comes_first() -> None:
    completed = shell("trap 'exit 42' TERM; while :; do sleep 0.2; done", timeout=2)
    assert (completed.timed_out, completed.returncode) == (True, 42)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_caller_is_killed(number: signal.Signals) -> None:
    marker = f"8640{int(number)}.75"
    caller = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.sandbox.run import run\n"
            f"run(['sh', '-c', 'setsid sleep {marker} & sleep {marker}'], timeout=600)",
        ],
        env={**os.environ, "PYTHONPATH": str(COLLECTIONS_ROOT)},
    )
    try:
        deadline = time.monotonic() + 30
        while len(with_argument(marker)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        inside = with_argument(marker)
        assert len(inside) >= 2
        caller.send_signal(number)
        caller.wait(30)
        assert all(is_gone(pid) for pid in inside)
        assert with_argument(marker) == []
    finally:
        caller.kill()
        caller.wait()


def test_the_exit_status_comes_through() -> None:
    assert shell("exit 7").returncode == 7


def test_others_come_first_and_memory_is_bounded() -> None:
    script = (
        "import os, resource;"
        " print(os.nice(0), open('/proc/self/oom_score_adj').read().strip(),"
        " resource.getrlimit(resource.RLIMIT_CORE)[1], resource.getrlimit(resource.RLIMIT_AS)[1])"
    )
    command = [sys.executable, "-c", script]
    prefix = [Path(sys.prefix)]
    limited = run(command, readonly=prefix, timeout=30, limits=Limits(nice=9, memory_mb=256))
    assert limited.stdout == b"9 500 0 268435456\n"
    hungry = [sys.executable, "-c", "print(len(bytearray(300 << 20)))"]
    assert run(hungry, readonly=prefix, timeout=30).stdout == b"314572800\n"
    refused_memory = run(hungry, readonly=prefix, timeout=30, limits=Limits(memory_mb=256))
    assert "MemoryError" in refused_memory.tail[-1]
    without = run(command, readonly=prefix, timeout=30, isolation="none", limits=Limits(nice=9))
    assert without.stdout.startswith(b"9 500 0 ")


def test_a_sandbox_that_could_not_be_made_ready_does_not_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(*_arguments: object) -> int:
        raise InterruptedError

    monkeypatch.setattr(process, "_read_child_pid", read)
    marker = "86405.25"
    with pytest.raises(InterruptedError):
        shell(f"sleep {marker}")
    time.sleep(1)
    assert with_argument(marker) == []
