# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guest configuration from the manifest, seen at work in the booted guest.

A new hostname is what the guest calls itself at its login and answers; a user
with an SSH key logs in with it; a network file gives the NIC that had no
address one that answers. What shows nowhere is read from the running guest's
files.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.tests.guests.debian_uefi import CONFIGURED
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest
from ansible_collections.hypersdk.hyper2kvm.tests.guests.machine import Machine
from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import built, keyed

HOSTNAME, USER = "moved01", "rescue"
_NIC = CONFIGURED.nics[-1]
_PASSWORD_HASH = (
    "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/"
    "jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"
)
_SUDO = "ALL=(ALL) NOPASSWD:ALL"
_PROFILE = "[connection]\nid=moved\ntype=ethernet\n"
_PATHS = {
    "accounts": "etc/passwd",
    "passwords": "etc/shadow",
    "groups": "etc/group",
    "sudo": f"etc/sudoers.d/{USER}",
    "keys": f"home/{USER}/.ssh/authorized_keys",
    "enabled": "etc/systemd/system/multi-user.target.wants/debug-shell.service",
    "masked": "etc/systemd/system/systemd-timesyncd.service",
    "hosts": "etc/hosts",
    "network file": "etc/systemd/network/05-moved.network",
    "profile": "etc/NetworkManager/system-connections/moved.nmconnection",
}


def _key() -> Path:
    """Return the private key of the tests' own pair, made once; it opens nothing else."""

    def make(work: Path) -> None:
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests"]
        subprocess.run([*argv, "-f", str(work / "key")], check=True, stdin=subprocess.DEVNULL)

    return built(keyed("ssh-key", "ed25519"), make) / "key"


def _public() -> str:
    return _key().with_suffix(".pub").read_text(encoding="utf-8").strip()


def _network_file() -> str:
    return f"[Match]\nName={_NIC.name}\n\n[Network]\nAddress={_NIC.address}\n"


def sections() -> dict[str, Any]:
    """Return the manifest's section with the configuration."""
    user = {
        "name": USER,
        "comment": "For the migration",
        "shell": "/bin/sh",
        "groups": ["adm"],
        "password_hash": _PASSWORD_HASH,
        "ssh_keys": [_public()],
        "sudo": _SUDO,
    }
    return {
        "configuration": {
            "hostname": {
                "hostname": HOSTNAME,
                "domain": "example.com",
                "hosts": {
                    "#": "as artifact_manifest puts it in front",
                    "192.0.2.53": "ns1.example.com ns1",
                    "2001:db8::53": "ns2.example.com ns2",
                },
            },
            "users": {"users": [user], "disable_users": ["games"], "delete_users": ["irc"]},
            "services": {
                "enable": ["systemd-networkd", "debug-shell"],
                "mask": ["systemd-timesyncd"],
            },
            "network": {
                "network_files": [{"name": "moved", "priority": 5, "content": _network_file()}],
                "nm_connections": [{"name": "moved", "content": _PROFILE}],
            },
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
    login = _logged_in(port)
    if not login:
        return {"SSH login": ""}
    files = _files(port)
    looks: dict[str, Callable[[Mapping[str, str]], bool]] = {
        "users": _users_are_right,
        "services": _services_are_right,
        "hosts": _hosts_are_right,
        "network files": _network_files_are_right,
    }
    asked = {name: "as asked" if right(files) else "" for name, right in looks.items()}
    return {"SSH login": login, **asked}


def _users_are_right(files: Mapping[str, str]) -> bool:
    accounts = _records(files["accounts"])
    passwords = _records(files["passwords"])
    return (
        accounts[USER][4:] == ["For the migration", f"/home/{USER}", "/bin/sh"]
        and passwords[USER][1] == _PASSWORD_HASH
        and USER in _records(files["groups"])["adm"][3].split(",")
        and files["sudo"] == f"{USER} {_SUDO}\n"
        and files["keys"] == f"{_public()}\n"
        and passwords["games"][1].startswith("!")
        and "irc" not in accounts
    )


def _services_are_right(files: Mapping[str, str]) -> bool:
    return files["enabled"].endswith("/debug-shell.service") and files["masked"] == "/dev/null"


def _hosts_are_right(files: Mapping[str, str]) -> bool:
    lines = [line.split("#")[0].split() for line in files["hosts"].splitlines()]
    wanted = (
        ["127.0.1.1", f"{HOSTNAME}.example.com", HOSTNAME],
        ["192.0.2.53", "ns1.example.com", "ns1"],
        ["2001:db8::53", "ns2.example.com", "ns2"],
    )
    return all(line in lines for line in wanted)


def _network_files_are_right(files: Mapping[str, str]) -> bool:
    written = (files["network file"].rstrip("\n"), files["profile"].rstrip("\n"))
    return written == (_network_file().rstrip("\n"), _PROFILE.rstrip("\n"))


def _records(text: str) -> dict[str, list[str]]:
    """Return the fields of passwd, shadow or group by the name that is the first of them."""
    return {line.split(":")[0]: line.split(":") for line in text.splitlines()}


def _files(port: int) -> dict[str, str]:
    """Return the guest's files, a link's target for a link, "" for what is not there."""
    # The guests' root has no password, so that su asks for none.
    command = f"su -c 'tar -cf - -C / {' '.join(_PATHS.values())}' root"
    done = subprocess.run(
        [*_ssh(port), command],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=120,
    )
    found = dict.fromkeys(_PATHS, "")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        members = {member.name: member for member in archive}
        for name, path in _PATHS.items():
            member = members.get(path)
            content = archive.extractfile(member) if member and member.isfile() else None
            if member and member.issym():
                found[name] = member.linkname
            elif content:
                found[name] = content.read().decode()
    return found


def _ssh(port: int) -> list[str]:
    """Return the command that runs another in the guest as the configured user."""
    argv = ["ssh", "-F", "none", "-i", str(_key()), "-p", str(port), "-l", USER]
    for option in (
        *("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"),
        *("ConnectTimeout=30", "IdentitiesOnly=yes", "LogLevel=ERROR"),
    ):
        argv += ["-o", option]
    return [*argv, "127.0.0.1"]


def _logged_in(port: int) -> str:
    """Return what a login with the key says: the user and the machine; "" without one."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        done = subprocess.run(
            [*_ssh(port), "echo $(id -un) at $(hostname)"],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode == 0:
            return done.stdout.strip()
        time.sleep(3)
    return ""
