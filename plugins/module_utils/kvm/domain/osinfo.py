# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The name that libosinfo has for what vSphere calls the guest's operating system."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from ...manifest.guest_ids import LINUX, WINDOWS, os_hint

#: libosinfo's names for machines of which only the kind is known; every release since 2022 has them.
_LINUX_NAMES = ("linux2022", "linux2020", "linux2018")
_WINDOWS_NAMES = ("win2k22", "win2k19", "win10")
_GENERIC = "generic"

# vSphere's identifiers without "_64Guest", against libosinfo's names, the best first;
# {} is the number at the identifier's end. windows9 was vSphere's name for Windows 10.
_NAMES = (
    (r"debian(\d+)", ("debian{}",)),
    (r"ubuntu", ("ubuntu-lts-latest",)),
    (r"rhel(\d+)", ("rhel{}-unknown", "rhel{}.0")),
    (r"centos(\d+)", ("centos{}", "centos-stream{}")),
    (r"oracleLinux(\d+)", ("ol{}-unknown", "ol{}.0")),
    (r"rockylinux", ("rocky10", "rocky9")),
    (r"almalinux", ("almalinux10", "almalinux9")),
    (r"sles(\d+)", ("sles{}", "sle{}-unknown")),
    (r"opensuse", ("opensusetumbleweed",)),
    (r"fedora", ("fedora-unknown",)),
    (r"windows7", ("win7",)),
    (r"windows7Server", ("win2k8r2",)),
    (r"windows8", ("win8.1",)),
    (r"windows8Server", ("win2k12r2",)),
    (r"windows9", ("win10",)),
    (r"windows9Server", ("win2k16",)),
    (r"windows1[12]", ("win11",)),
    (r"windows2019srv", ("win2k19",)),
    (r"windows2019srvNext", ("win2k22",)),
    (r"windows2022srvNext", ("win2k25", "win2k22")),
)
_OLDER = 6


def osinfo_name(guest_id: str, known: Collection[str]) -> str:
    """Return libosinfo's name for a guest, one that this host's database has.

    A system that is newer than the database gets the name of its newest
    predecessor there: the same devices are right for it.

    Args:
        guest_id: vSphere's identifier, such as debian12_64Guest.
        known: The names that the database has.
    """
    for name in _candidates(guest_id):
        if name in known:
            return name
    return _GENERIC


def _candidates(guest_id: str) -> Iterator[str]:
    stem = re.sub(r"(?:_?64)?(?:Guest)?(?:64)?$", "", guest_id)
    for pattern, names in _NAMES:
        match = re.fullmatch(pattern, stem)
        if match is None:
            continue
        number = int(match[1]) if match.groups() else 0
        for version in range(number, max(number - _OLDER, 0), -1) if number else (0,):
            for name in names:
                yield name.format(version)
    yield from {LINUX: _LINUX_NAMES, WINDOWS: _WINDOWS_NAMES}.get(os_hint(guest_id), ())
