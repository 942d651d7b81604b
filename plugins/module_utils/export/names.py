# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of the files of an export.

They are made here and never taken from the server: a lease's targetId may be anything, a path that
climbs out of the directory included.
"""

from __future__ import annotations

import re

from ..vsphere.facts import Vm

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 200  # leaves room for the endings within the 255 bytes of a file name


def base_name(vm: Vm) -> str:
    """Return what every file of this VM begins with: its name, in characters safe anywhere."""
    name = _UNSAFE.sub("_", vm.name).strip("._-")[:_LONGEST]
    return name or vm.moid


def disk_name(vm: Vm, index: int) -> str:
    """Return the file name of a disk; the first has the index 0 and the number 1."""
    return f"{base_name(vm)}-disk{index + 1}.vmdk"


def nvram_name(vm: Vm) -> str:
    """Return the file name of the firmware's variables."""
    return f"{base_name(vm)}.nvram"


def cdrom_name(vm: Vm, index: int) -> str:
    """Return the file name of a CD image; the first has the index 0 and the number 1."""
    return f"{base_name(vm)}-cdrom{index + 1}.iso"


def ova_name(vm: Vm, *, compress: bool) -> str:
    """Return the file name of the package in one file."""
    return f"{base_name(vm)}.ova{'.gz' if compress else ''}"
