# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a guest tells about itself on its console, before its login: mounts, data, labels.

So a test sees from outside that the data disk is mounted and whole, and what
became of the guest's services and SELinux labels, without logging in.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import namespace, system

_MARK = "GUEST-FACT"

# MARK and MOUNT are put in.
_PROGRAM = """\
#!/bin/sh
# Tell what a test wants to know, a line each, on the serial console.
say() { echo "MARK $*"; }
{
    echo
    say kernel "$(uname -r)"
    while read -r device place type options rest; do
        case $type in
            ext4|xfs|btrfs|vfat) say mount "$place $device $type $options" ;;
        esac
    done < /proc/mounts
    systemctl --failed --plain --no-legend | while read -r unit rest; do say failed "$unit"; done
    if [ -e /sys/fs/selinux/enforce ]; then
        say enforce "$(cat /sys/fs/selinux/enforce)"
        while read -r path; do
            say label "$path $(stat -c %C "$path" 2>&1)"
        done < /etc/facts-labels
    fi
    # Only where something is mounted: files on the root filesystem are none of the data disk's.
    if grep -q ' MOUNT ' /proc/mounts; then
        cd MOUNT && find . -type f -exec sha256sum {} + | while read -r digest path; do
            say data "$digest $path"
        done
    fi
    say end
} > /dev/ttyS0 2>&1
"""

_UNIT = """\
[Unit]
Description=Tell the facts on the console
After=local-fs.target systemd-remount-fs.service
Before=serial-getty@ttyS0.service

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/facts

[Install]
WantedBy=multi-user.target
"""


def install(tree: Path, data_mount: str) -> None:
    """Let a guest tell its facts at every boot."""
    program = _PROGRAM.replace("MARK", _MARK).replace("MOUNT", data_mount)
    system.write(tree, "/usr/local/sbin/facts", program)
    (tree / "usr/local/sbin/facts").chmod(0o755)
    system.write(tree, "/etc/systemd/system/facts.service", _UNIT)
    namespace.run_inside(tree, "systemctl enable facts.service", seconds=60)


def told(console: str) -> dict[str, list[str]]:
    """Return the facts of a console's text: by their kind, in their order."""
    facts: dict[str, list[str]] = defaultdict(list)
    for kind, value in re.findall(rf"^{_MARK} (\S+) ?(.*?)\r?$", console, re.M):
        facts[kind].append(value)
    return dict(facts)


def data_files(facts: dict[str, list[str]]) -> dict[str, str]:
    """Return the digests of the data disk's files, by their path on it."""
    pairs = (line.split(" ", 1) for line in facts.get("data", []))
    return {path.strip().removeprefix("./"): digest for digest, path in pairs}
