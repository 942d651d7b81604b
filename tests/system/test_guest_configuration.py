# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the manifest's configuration asks for is in the guest that hyper2kvm made: fields and their shapes are right."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.guests import debian_bios
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


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Files of the guest after its conversion with the configuration."""
    python, executable = os.environ.get("HYPER2KVM_PYTHON"), os.environ.get("HYPER2KVM_EXECUTABLE")
    assert python and executable, (
        "HYPER2KVM_PYTHON and HYPER2KVM_EXECUTABLE must name hyper2kvm's (make setup)."
    )
    directory = tmp_path_factory.mktemp("configuration")
    path = directory / "artifact-manifest.json"
    exported = debian_bios.build()
    written = run_module(
        "artifact_manifest",
        {
            "path": str(path),
            "disks": [{"path": str(disk.vmdk)} for disk in (exported.boot, exported.data)],
            "vm": {"firmware": "bios", "os_hint": "linux"},
            "pipeline": {
                "fix": {"regen_initramfs": False, "update_grub": False},
                "convert": {"compress": False},
            },
            "configuration": CONFIGURATION,
        },
    )
    assert not written.get("failed"), written
    converted = run_module(
        "hyper2kvm_convert", {"manifest": str(path), "executable": executable}, timeout=3600
    )
    assert not converted.get("failed"), converted
    image = Path(converted["outputs"][0]["path"])
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
        [python, "-c", _READ, str(image), *wanted], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    files: dict[str, Any] = json.loads(done.stdout)
    return files


def line(text: str, start: str) -> list[str]:
    (found,) = [each for each in text.splitlines() if each.startswith(start)]
    return found.split(":")


def test_users(guest: dict[str, Any]) -> None:
    account = line(guest["/etc/passwd"], "rescue:")
    assert (account[4], account[5], account[6]) == ("For the migration", "/home/rescue", "/bin/sh")
    assert line(guest["/etc/shadow"], "rescue:")[1] == HASH
    assert "rescue" in line(guest["/etc/group"], "adm:")[3].split(",")
    assert guest["/etc/sudoers.d/rescue"] == "rescue ALL=(ALL) NOPASSWD:ALL\n"
    assert guest["/home/rescue/.ssh/authorized_keys"] == f"{KEY}\n"
    assert line(guest["/etc/shadow"], "games:")[1].startswith("!")
    assert "irc:" not in guest["/etc/passwd"]


def test_services(guest: dict[str, Any]) -> None:
    enabled = guest["/etc/systemd/system/multi-user.target.wants/debug-shell.service"]
    assert enabled.startswith("-> ") and enabled.endswith("/debug-shell.service")
    assert guest["/etc/systemd/system/systemd-timesyncd.service"] == "-> /dev/null"


def test_hostname(guest: dict[str, Any]) -> None:
    assert guest["/etc/hostname"] == "moved01\n"
    hosts = [each.split("#")[0].split() for each in guest["/etc/hosts"].splitlines()]
    assert ["127.0.1.1", "moved01.example.com", "moved01"] in hosts
    # Without the comment in front the first of them would stand behind the last line.
    assert ["192.0.2.53", "ns1.example.com", "ns1"] in hosts
    assert ["2001:db8::53", "ns2.example.com", "ns2"] in hosts


def test_network(guest: dict[str, Any]) -> None:
    content = CONFIGURATION["network"]["network_files"][0]["content"]
    assert guest["/etc/systemd/network/05-moved.network"] == content + "\n"
    profile = CONFIGURATION["network"]["nm_connections"][0]["content"]
    assert guest["/etc/NetworkManager/system-connections/moved.nmconnection"] == profile + "\n"
