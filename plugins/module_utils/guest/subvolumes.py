# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Subvolumes of btrfs in libguestfs' appliance, which calls them "btrfsvol:DEVICE/SUBVOLUME".

Everywhere else libguestfs translates the names of devices: /dev/sda is the first disk that it was
given, whichever one the appliance's kernel found first. In these names it does not (seen with
1.48: the first disk's subvolume was "btrfsvol:/dev/sdb1/@"), and the next start of the appliance
may find its disks in another order. Here DEVICE is always the translated name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import Hyper2KvmError
from .repair import Repair
from .storage import Storage, device_of

_PREFIX = "btrfsvol:"


class SubvolumeError(Hyper2KvmError):
    """A filesystem's default subvolume can't be set."""


@dataclass(frozen=True)
class HiddenRoot:
    """A root on a subvolume that is not its filesystem's default one.

    Whoever mounts the filesystem without a subvolume's name, as hyper2kvm's FIX does, does not
    see it.

    Attributes:
        device: The appliance's name of the volume.
        uuid: The filesystem's UUID.
        name: The subvolume's path from the top level.
        id: Its ID.
        default: The ID of the default subvolume; 5 is the top level.
        members: The volumes that the filesystem is on.
    """

    device: str
    uuid: str
    name: str
    id: int
    default: int
    members: tuple[str, ...]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> HiddenRoot:
        """Return what asdict() made of one, after its way through JSON."""
        return cls(**{**document, "members": tuple(document["members"])})


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


def hidden_root(handle: Any, root: str, storage: Storage) -> HiddenRoot | None:
    """Return the root, which is mounted, if who does not know its subvolume won't find it."""
    device = device_of(root)
    volume = storage.named(device)
    if not root.startswith(_PREFIX) or volume is None or not volume.uuid:
        return None
    try:
        own = int(handle.btrfs_subvolume_show("/")["Subvolume ID"])
        default = int(handle.btrfs_subvolume_get_default("/"))
    except (RuntimeError, KeyError, ValueError):
        return None  # It may be found all the same; if not, that is said.
    if own == default:
        return None
    members = tuple(storage.members(device))
    return HiddenRoot(device, volume.uuid, _subvolume_of(root), own, default, members)


def show(handle: Any, root: HiddenRoot, storage: Storage) -> None:
    """Make a root the default subvolume of its filesystem, which is not mounted.

    Raises:
        SubvolumeError: It is not on the appliance's disks.
        RuntimeError: It can't be written.
    """
    _set_default(handle, root, storage, root.id)


def hide(handle: Any, root: HiddenRoot, storage: Storage) -> Repair:
    """Make the default subvolume again what it was, and say what was done.

    Raises:
        SubvolumeError: It is not on the appliance's disks.
        RuntimeError: It can't be written.
    """
    _set_default(handle, root, storage, root.default)
    return Repair(
        f"Made btrfs' subvolume {root.name} the default one while hyper2kvm's FIX ran, which does"
        f" not find the root otherwise; the default is again the one with the ID {root.default}",
        "/",
    )


def _set_default(handle: Any, root: HiddenRoot, storage: Storage, number: int) -> None:
    volume = storage.find(f"UUID={root.uuid}").volume
    if volume is None:
        raise SubvolumeError(f"btrfs' filesystem {root.uuid} is not on the disks.")
    mount(handle, subvolume(volume.name, root.name), "/", readonly=False)
    try:
        handle.btrfs_subvolume_set_default(number, "/")
        now = handle.btrfs_subvolume_get_default("/")
    finally:
        handle.umount_all()
    if now != number:
        raise SubvolumeError(
            f"btrfs' default subvolume on {volume.name} is {now}, though it was set to {number}."
        )
