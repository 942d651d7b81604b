# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real guest that hyper2kvm's daemon fixes, and in it all that the manifest's configuration asks for.

One conversion shows both, `mode: queue` and that the fields and their shapes are right.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.guests import debian_bios
from ansible_collections.hypersdk.hyper2kvm.tests.support import daemon, exported
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module

pytestmark = pytest.mark.emulated

HASH = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH2v admin@example.com"
CONFIGURATION = {
    "users": {
        "users": [
            {
                "name": "rescue",
                "comment": "For the migration",
                "shell": "/bin/sh",
                "groups": ["adm"],
                "password_hash": HASH,
                "ssh_keys": [KEY],
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
            }
        ],
        "disable_users": ["games"],
        "delete_users": ["irc"],
    },
    "services": {"enable": ["debug-shell"], "mask": ["systemd-timesyncd"]},
    "hostname": {
        "hostname": "moved01",
        "domain": "example.com",
        "hosts": {"192.0.2.53": "ns1.example.com ns1", "2001:db8::53": "ns2.example.com ns2"},
    },
    "network": {
        "network_files": [
            {
                "name": "moved",
                "priority": 5,
                "content": "[Match]\nName=moved0\n\n[Network]\nAddress=192.0.2.10/24",
            }
        ],
        "nm_connections": [{"name": "moved", "content": "[connection]\nid=moved\ntype=ethernet"}],
    },
}

_READ = """
import guestfs, json, sys
g = guestfs.GuestFS(python_return_dict=True)
g.add_drive_opts(sys.argv[1], readonly=1, format="qcow2")
g.launch()
root = g.inspect_os()[0]
g.mount_ro(root, "/")
files = {}
for path in sys.argv[2:]:
    if g.is_symlink(path):
        files[path] = "-> " + g.readlink(path)
    elif g.is_file(path):
        files[path] = g.read_file(path).decode()
    else:
        files[path] = None
print(json.dumps(files))
"""


@dataclass(frozen=True)
class Seen:
    """What the module said, what lay in the daemon's queue, and what a run after it in direct mode said."""

    result: dict[str, Any]
    queue: list[str]
    again: dict[str, Any]


@pytest.fixture(scope="module")
def seen(hyper2kvm_executable: Path, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    directory = tmp_path_factory.mktemp("configuration")
    path = directory / "images" / "web01" / "artifact-manifest.json"
    path.parent.mkdir(parents=True)
    guest = debian_bios.build()
    disks = [Path(shutil.copy(disk.vmdk, path.parent)) for disk in (guest.boot, guest.data)]
    written = run_module(
        "artifact_manifest",
        {
            "path": str(path),
            "disks": [{"path": str(disk)} for disk in disks],
            "vm": {"firmware": "bios", "os_hint": "linux"},
            "pipeline": {
                "fix": {"regen_initramfs": False, "update_grub": False},
                "convert": {"compress": False},
            },
            "configuration": CONFIGURATION,
        },
    )
    assert not written.get("failed"), written
    before = exported.digests(path.parent)
    with daemon.running(
        hyper2kvm_executable, directory / "daemon", images=directory / "images"
    ) as queue:
        result = daemon.convert(path, hyper2kvm_executable, queue)
        assert not result.get("failed"), result
        waiting = daemon.files_of(queue)
        assert exported.digests(path.parent) == before
        again = daemon.convert(path, hyper2kvm_executable, queue, mode="direct")
    return Seen(result, waiting, again)


@pytest.fixture(scope="module")
def files(seen: Seen, conversion_python: Path) -> dict[str, Any]:
    """Files of the guest after its conversion with the configuration."""
    wanted = [
        "/etc/passwd",
        "/etc/shadow",
        "/etc/group",
        "/etc/sudoers.d/rescue",
        "/home/rescue/.ssh/authorized_keys",
        "/etc/systemd/system/multi-user.target.wants/debug-shell.service",
        "/etc/systemd/system/systemd-timesyncd.service",
        "/etc/hostname",
        "/etc/hosts",
        "/etc/systemd/network/05-moved.network",
        "/etc/NetworkManager/system-connections/moved.nmconnection",
    ]
    done = subprocess.run(
        [str(conversion_python), "-c", _READ, seen.result["outputs"][0]["path"], *wanted],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def test_the_daemon_fixed_it(seen: Seen) -> None:
    assert seen.result["changed"] is True
    assert seen.result["mode"] == "queue"
    assert seen.result["stages"]["fix"]["success"] is True
    assert seen.result["fixed"] is True
    assert seen.queue == ["processed/*.json", "processed/*.json.report.json"]
    for output in seen.result["outputs"]:
        subprocess.run(["qemu-img", "check", "-q", output["path"]], check=True)


def test_who_did_it_makes_no_difference_to_what_was_done(seen: Seen) -> None:
    assert seen.again["changed"] is False


def line(text: str, start: str) -> list[str]:
    (found,) = [each for each in text.splitlines() if each.startswith(start)]
    return found.split(":")


def test_users(files: dict[str, Any]) -> None:
    account = line(files["/etc/passwd"], "rescue:")
    assert (account[4], account[5], account[6]) == ("For the migration", "/home/rescue", "/bin/sh")
    assert line(files["/etc/shadow"], "rescue:")[1] == HASH
    assert "rescue" in line(files["/etc/group"], "adm:")[3].split(",")
    assert files["/etc/sudoers.d/rescue"] == "rescue ALL=(ALL) NOPASSWD:ALL\n"
    assert files["/home/rescue/.ssh/authorized_keys"] == f"{KEY}\n"
    assert line(files["/etc/shadow"], "games:")[1].startswith("!")
    assert "irc:" not in files["/etc/passwd"]


def test_services(files: dict[str, Any]) -> None:
    enabled = files["/etc/systemd/system/multi-user.target.wants/debug-shell.service"]
    assert enabled.startswith("-> ") and enabled.endswith("/debug-shell.service")
    assert files["/etc/systemd/system/systemd-timesyncd.service"] == "-> /dev/null"


def test_hostname(files: dict[str, Any]) -> None:
    assert files["/etc/hostname"] == "moved01\n"
    hosts = [each.split("#")[0].split() for each in files["/etc/hosts"].splitlines()]
    assert ["127.0.1.1", "moved01.example.com", "moved01"] in hosts
    # Without the comment in front the first of them would stand behind the last line.
    assert ["192.0.2.53", "ns1.example.com", "ns1"] in hosts
    assert ["2001:db8::53", "ns2.example.com", "ns2"] in hosts


def test_network(files: dict[str, Any]) -> None:
    content = CONFIGURATION["network"]["network_files"][0]["content"]
    assert files["/etc/systemd/network/05-moved.network"] == content + "\n"
    profile = CONFIGURATION["network"]["nm_connections"][0]["content"]
    assert files["/etc/NetworkManager/system-connections/moved.nmconnection"] == profile + "\n"
