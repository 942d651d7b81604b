# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guest configuration from the manifest, seen at work in the booted guest.

A new hostname is what the guest calls itself at its login and answers; a user
with an SSH key logs in with it; a network file gives the NIC that had no
address one that answers.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.tests.guests.debian_uefi import CONFIGURED
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest
from ansible_collections.hypersdk.hyper2kvm.tests.guests.machine import Machine
from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import built, keyed

HOSTNAME, USER = "moved01", "rescue"
_NIC = CONFIGURED.nics[-1]


def _key() -> Path:
    """Return the private key of the tests' own pair, made once; it opens nothing else."""

    def make(work: Path) -> None:
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests"]
        subprocess.run([*argv, "-f", str(work / "key")], check=True, stdin=subprocess.DEVNULL)

    return built(keyed("ssh-key", "ed25519"), make) / "key"


def sections() -> dict[str, Any]:
    """Return the manifest's section with the configuration."""
    public = _key().with_suffix(".pub").read_text(encoding="utf-8").strip()
    network_file = {
        "name": "moved",
        "priority": 5,
        "content": f"[Match]\nName={_NIC.name}\n\n[Network]\nAddress={_NIC.address}\n",
    }
    return {
        "configuration": {
            "hostname": {"hostname": HOSTNAME},
            "users": {"users": [{"name": USER, "shell": "/bin/sh", "ssh_keys": [public]}]},
            "services": {"enable": ["systemd-networkd"]},
            "network": {"network_files": [network_file]},
        }
    }


def named(guest: Guest) -> Guest:
    """Return the guest with the name that it has afterwards."""
    return replace(
        guest, hostname=HOSTNAME, login_pattern=rf"{HOSTNAME} login:", answer_line=HOSTNAME
    )


def look(machine: Machine, guest: Guest) -> dict[str, str]:
    """Return what was seen of the configuration, "" for what was not."""
    port = machine.wires.ssh_ports[guest.nics[0].mac]
    return {"SSH login": _logged_in(port)}


def _logged_in(port: int) -> str:
    """Return what a login with the key says: the user and the machine; "" without one."""
    argv = ["ssh", "-F", "none", "-i", str(_key()), "-p", str(port), "-l", USER]
    for option in (
        *("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"),
        *("ConnectTimeout=30", "IdentitiesOnly=yes", "LogLevel=ERROR"),
    ):
        argv += ["-o", option]
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        done = subprocess.run(
            [*argv, "127.0.0.1", "echo $(id -un) at $(hostname)"],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode == 0:
            return done.stdout.strip()
        time.sleep(3)
    return ""
