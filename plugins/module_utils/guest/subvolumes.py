# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Subvolumes of btrfs in libguestfs' appliance, which calls them "btrfsvol:DEVICE/SUBVOLUME".

Everywhere else libguestfs translates the names of devices: /dev/sda is the first disk that it was
given, whichever one the appliance's kernel found first. In these names it does not (seen with
1.48: the first disk's subvolume was "btrfsvol:/dev/sdb1/@"), and the next start of the appliance
may find its disks in another order. Here DEVICE is always the translated name.
"""

from __future__ import annotations

from typing import Any

from .storage import Storage, device_of

_PREFIX = "btrfsvol:"


def named_for_good(handle: Any, mountable: str, storage: Storage) -> str:
    """Return what libguestfs can mount under a name that holds for every appliance.

    Args:
        handle: The appliance that gave the name.
        mountable: The name, of a subvolume or of anything else.
        storage: The volumes on its disks.
    """
    if not mountable.startswith(_PREFIX):
        return mountable
    try:
        uuid = handle.vfs_uuid(mountable)
    except RuntimeError:
        return mountable
    found = storage.find(f"UUID={uuid}").volume
    return subvolume(found.name, _subvolume_of(mountable)) if found is not None else mountable


def subvolume(device: str, name: str) -> str:
    """Return what a subvolume is called."""
    return f"{_PREFIX}{device}/{name}"


def mount(handle: Any, mountable: str, place: str, *, readonly: bool) -> None:
    """Mount a filesystem or a subvolume.

    Raises:
        RuntimeError: It can't be mounted.
    """
    if mountable.startswith(_PREFIX):
        options = f"subvol={_subvolume_of(mountable)}"
        handle.mount_options(f"ro,{options}" if readonly else options, device_of(mountable), place)
    elif readonly:
        handle.mount_ro(mountable, place)
    else:
        handle.mount(mountable, place)


def _subvolume_of(mountable: str) -> str:
    return mountable[len(_PREFIX) + len(device_of(mountable)) + 1 :]
