# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Configure a Debian tree as the system of a VM: identity, console, network, services.

What is here holds for every Debian guest. How it finds its disks (fstab,
command line, initramfs, boot loader) is the guest's own, in its own file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import namespace
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Nic

ANSWER_PORT = 7777
CONSOLE = "console=tty0 console=ttyS0,115200"

# Units that only cost boot time in a guest without D-Bus, updates or a screen.
_MASKED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer"),
    *("e2scrub_reap.service", "fstrim.timer", "systemd-logind.service", "systemd-pstore.service"),
    *("dbus-org.freedesktop.login1.service", "systemd-user-sessions.service"),
    *("systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount", "getty@tty1.service"),
    *("sys-kernel-tracing.mount", "sys-kernel-debug.mount", "systemd-update-utmp.service"),
    *("systemd-update-utmp-runlevel.service", "dev-hugepages.mount", "dev-mqueue.mount"),
    *("modprobe@dm_mod.service", "modprobe@drm.service", "modprobe@loop.service"),
)

_PATIENCE = """\
[Manager]
DefaultDeviceTimeoutSec=10min
DefaultTimeoutStartSec=10min
"""

_DRIVER_POLICY = """\
# Driver inclusion policy selected during installation
# Note: this setting overrides the value set in the file
# /etc/initramfs-tools/initramfs.conf
MODULES=dep
"""

_ANSWER_SOCKET = f"""\
[Unit]
Description=Say this machine's name to whoever connects

[Socket]
ListenStream=0.0.0.0:{ANSWER_PORT}
FreeBind=yes
Accept=yes

[Install]
WantedBy=sockets.target
"""

_ANSWER_SERVICE = """\
[Unit]
Description=Say this machine's name once

[Service]
ExecStart=/bin/hostname
StandardOutput=socket
"""


def write(tree: Path, name: str, content: str) -> None:
    """Write one configuration file of a tree, with its directories."""
    path = tree / name.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def identify(tree: Path, hostname: str) -> None:
    """Give the system its name and a machine id, so that it takes no boot for its first."""
    write(tree, "/etc/hostname", f"{hostname}\n")
    write(tree, "/etc/hosts", f"127.0.0.1\tlocalhost\n127.0.1.1\t{hostname}\n")
    write(tree, "/etc/machine-id", hashlib.sha256(hostname.encode()).hexdigest()[:32] + "\n")


def configure_services(tree: Path) -> None:
    """Set up the answering service and a console without a password; mask what is slow."""
    write(tree, "/etc/systemd/system/answer.socket", _ANSWER_SOCKET)
    write(tree, "/etc/systemd/system/answer@.service", _ANSWER_SERVICE)
    write(tree, "/etc/systemd/journald.conf.d/volatile.conf", "[Journal]\nStorage=volatile\n")
    # Emulated on a busy machine, finding a disk may take longer than 90 s.
    write(tree, "/etc/systemd/system.conf.d/patience.conf", _PATIENCE)
    namespace.run_inside(
        tree,
        f"systemctl mask {' '.join(_MASKED)}\n"
        "systemctl enable answer.socket serial-getty@ttyS0.service\n"
        "passwd -d root\n"
        # Newer than /usr: no rebuilding of caches at the first boot.
        "touch /etc/.updated /var/.updated\n",
        seconds=120,
    )


def configure_ifupdown(tree: Path, nics: Sequence[Nic], gateway: str) -> None:
    """Configure static addresses by interface name, as Debian's installer writes them."""
    text = "source /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n"
    for number, nic in enumerate(nics):
        text += f"\nallow-hotplug {nic.name}\niface {nic.name} inet static\n"
        text += f"\taddress {nic.address}\n"
        if number == 0:
            text += f"\tgateway {gateway}\n"
    write(tree, "/etc/network/interfaces", text)


def make_initramfs(tree: Path, version: str, modules: Sequence[str], root_type: str) -> None:
    """Make the initramfs of a Debian that was installed "targeted" on other hardware.

    It holds the listed modules (and what they need) and no others. From then on
    the policy is MODULES=dep, as Debian's installer writes it for "include only
    drivers needed for this system": whoever rebuilds it gets what the machine
    at that time needs, and what /etc/initramfs-tools/modules lists.

    Args:
        tree: The guest's tree.
        version: The kernel's version.
        modules: What /etc/initramfs-tools/modules lists, in this order.
        root_type: The root filesystem's type; initramfs-tools can't look at it
            here, where there is no disk yet, and would leave out its fsck.
    """
    text = "# List of modules that you want to include in your initramfs.\n"
    text += "".join(f"{module}\n" for module in modules)
    write(tree, "/etc/initramfs-tools/modules", text)
    # A rebuild under emulation spends a third of its time on gzip's usual level.
    write(tree, "/etc/initramfs-tools/conf.d/compress", "COMPRESS=gzip\nCOMPRESSLEVEL=1\n")
    policy = "/etc/initramfs-tools/conf.d/driver-policy"
    write(tree, policy, f"MODULES=list\nFSTYPE={root_type}\n")
    namespace.run_inside(tree, f"update-initramfs -c -k {version}", seconds=600)
    write(tree, policy, _DRIVER_POLICY)
