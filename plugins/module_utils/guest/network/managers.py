# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of a guest's network managers are in force: files of the others are leftovers.

An address in the file of a manager that is not installed, masked or not enabled never answered on
vSphere, and must not be expected to on KVM.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..files import GuestFiles
from . import cloud_init, ifcfg, ifupdown, keyfiles, netplan, networkd, wicked

_UNITS = "/etc/systemd/system"
_IFUP = ("/usr/sbin/ifup", "/sbin/ifup")
_NETWORK_MANAGER = ("/usr/sbin/NetworkManager", "/usr/bin/NetworkManager")
_WICKED = ("/usr/sbin/wicked", "/sbin/wicked")
_NETPLAN = (
    "/usr/lib/systemd/system-generators/netplan",
    "/lib/systemd/system-generators/netplan",
    "/usr/sbin/netplan",
)
_NETWORKD = (
    "/usr/lib/systemd/systemd-networkd",
    "/lib/systemd/systemd-networkd",
)


def is_in_force(files: GuestFiles, manager: str) -> bool:
    """Tell whether a manager configures the guest's network at boot."""
    if manager == ifupdown.MANAGER:
        return _has(files, _IFUP) and not _masked(files, "networking")
    if manager == netplan.MANAGER:
        return _has(files, _NETPLAN)
    if manager == networkd.MANAGER:
        return (
            _has(files, _NETWORKD)
            and not _masked(files, "systemd-networkd")
            # netplan starts it where it has something for it.
            and (_enabled(files, "systemd-networkd") or _has(files, _NETPLAN))
        )
    if manager == keyfiles.MANAGER:
        return _has(files, _NETWORK_MANAGER) and not _masked(files, "NetworkManager")
    if manager == ifcfg.RHEL:
        return _has(files, (*_IFUP, *_NETWORK_MANAGER))
    if manager in (ifcfg.SUSE, wicked.MANAGER):
        return _has(files, (*_WICKED, *_IFUP))
    # What cloud-init wants is in force once it has written it into another manager's files.
    return manager != cloud_init.MANAGER


def _has(files: GuestFiles, programs: Sequence[str]) -> bool:
    return any(files.exists(program) for program in programs)


def _masked(files: GuestFiles, unit: str) -> bool:
    return files.readlink(f"{_UNITS}/{unit}.service") == "/dev/null"


def _enabled(files: GuestFiles, unit: str) -> bool:
    """Tell whether something is linked to want a unit, be the link's end there or not."""
    return any(
        files.readlink(f"{directory}/{name}/{unit}.service") is not None
        for directory in (_UNITS, "/usr/lib/systemd/system", "/lib/systemd/system")
        for name in files.list(directory)
        if name.endswith(".wants")
    )
