# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A root that hyper2kvm's FIX does not find: what it is, and whether it can be shown to it.

hyper2kvm 0.2.1 does not understand how libguestfs names a subvolume, "btrfsvol:/dev/sda3/root": it
looks for two slashes after the device (fixers/filesystem/fstab.py). So it tries the boot disk's
partitions, if the host has some of the same names: each as it is mounted by default, then its
subvolumes @, @root, @rootfs and @/.snapshots/1/snapshot (fixers/offline_fixer.py). It finds any
other one when that is the default. Logical volumes and other disks it does not try.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..errors import Hyper2KvmError
from ..guest.session import Reading
from ..guest.subvolumes import HiddenRoot
from .errors import ConversionError, RootNotFoundError
from .verdict import judge_guest

_PARTITION = re.compile(r"(/dev/sd[a-z]+)\d+$")
_WITHOUT_FIX = (
    "Prepare the guest for virtio before the export and convert it without the stage fix."
)


def root_to_show(
    refusal: RootNotFoundError,
    read: Callable[[], Reading],
    *,
    boot: str,
    isolation: str,
    by_daemon: bool,
    dry_run: bool,
) -> HiddenRoot:
    """Return the root that FIX did not find, if it would find it as the default subvolume.

    Args:
        refusal: What came of FIX.
        read: Gives what was seen of the guest before FIX.
        boot: The appliance's name of the boot disk.
        isolation: "bubblewrap" or "none".
        by_daemon: Whether hyper2kvm's daemon does FIX.
        dry_run: Whether nothing may be written.

    Raises:
        ConversionError: It would not; says what there is instead of a root, and what to do.
    """
    try:
        reading = read()
        judge_guest(reading.findings)
    except Hyper2KvmError as error:
        raise _failed(error.message, error.action, refusal, error) from error
    root = reading.hidden_root
    if root is None:
        raise refusal
    obstacle = _obstacle(root, boot, isolation=isolation, by_daemon=by_daemon, dry_run=dry_run)
    if obstacle is None:
        return root
    why, action = obstacle
    raise _failed(f"{_of(root)}, and {why}", action, refusal)


def still_hidden(refusal: RootNotFoundError, root: HiddenRoot) -> ConversionError:
    """Return what to say of a root that FIX did not find as the default subvolume either."""
    what = f"{_of(root)}, and hyper2kvm's FIX does not find it even as the default one"
    return _failed(what, _WITHOUT_FIX, refusal)


def _obstacle(
    root: HiddenRoot, boot: str, *, isolation: str, by_daemon: bool, dry_run: bool
) -> tuple[str, str] | None:
    """Return why FIX won't find a root even as the default subvolume, and what to do about it."""
    if not _PARTITION.match(root.device):
        return (
            "hyper2kvm's FIX tries no subvolumes of a logical volume",
            f"Write subvol=/{root.name}, with the slash, for / in the guest's fstab and export it"
            " again; to the guest that is the same.",
        )
    disks = {found.group(1) for found in map(_PARTITION.match, root.members) if found}
    if disks != {boot}:
        return "hyper2kvm's FIX opens the boot disk alone, which does not hold it all", _WITHOUT_FIX
    if by_daemon:
        return "hyper2kvm's daemon can't be shown it", "Convert it with mode: direct."
    if isolation == "none":
        return (
            "without isolation hyper2kvm's FIX tries only partitions that the host has as well",
            "Convert it with isolation: bubblewrap.",
        )
    if dry_run:
        return (
            "hyper2kvm's FIX finds it only as the default one, which a dry run does not make it",
            "Convert it without dry_run, which does so on the working copy.",
        )
    return None


def _of(root: HiddenRoot) -> str:
    return f"The guest's root is btrfs' subvolume {root.name} on {root.device}"


def _failed(
    what: str, action: str, refusal: RootNotFoundError, error: Hyper2KvmError | None = None
) -> ConversionError:
    details = {**refusal.details, **(error.details if error is not None else {})}
    return ConversionError(f"{what.rstrip('.')}; {refusal.message}", action=action, **details)
