# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""fstab after FIX: the guest's own mount options again, on the devices that FIX made stable.

hyper2kvm 0.2.1 writes nofail,x-systemd.device-timeout=5s on every mount but / (fixers/bootloader/
post_conversion.py), so that a database whose disk comes late starts on an empty directory.

It also takes one disk for another. It looks at the boot disk alone, and asks libguestfs what
/dev/sdb1 is (fixers/offline/spec_converter.py): where the appliance's kernel found the appliance's
own disk first, the boot disk is its /dev/sdb, and /srv/data gets the UUID of the root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .files import GuestFiles, text_of, write_text
from .fstab import FSTAB, Mount, parse_fstab, with_devices
from .repair import ERROR, OR_REPAIR, Finding, Repair
from .storage import Storage, Volume

_ADDED = ("nofail", "x-systemd.device-timeout=5s")


@dataclass(frozen=True)
class Mistaken:
    """An entry of fstab that FIX made name another filesystem, or none."""

    line: int
    mount_point: str
    was: str
    made: str


def mistaken(
    files: GuestFiles, storage: Storage, root_device: str, kept_fstab: str
) -> list[Mistaken]:
    """Return the entries whose device FIX took for another.

    Args:
        files: The guest after FIX.
        storage: The volumes on all of its disks.
        root_device: The volume that its root is on.
        kept_fstab: The text of its fstab before.
    """
    before = parse_fstab(kept_fstab)
    meant = {old: _meant(old, storage, root_device) for old in before}
    found = []
    for mount, old in _pairs(parse_fstab(text_of(files, FSTAB)), before):
        if mount.spec == old.spec:
            continue
        made = storage.find(mount.spec, mount_point=mount.mount_point, fs_type=mount.type).volume
        others = [volume for each, volume in meant.items() if each != old and volume is not None]
        if not _may_be(made, old, meant[old], others):
            found.append(Mistaken(mount.line, mount.mount_point, old.spec, mount.spec))
    return found


def put_back_devices(files: GuestFiles, entries: Sequence[Mistaken]) -> list[Repair]:
    """Give entries the devices again that they named before FIX."""
    repairs = []
    for entry in entries:
        text = text_of(files, FSTAB)
        after = with_devices(text, {entry.line: (entry.made, entry.was)})
        write_text(files, FSTAB, after)
        what = (
            f"Named what is mounted on {entry.mount_point} {entry.was} again, which hyper2kvm had"
            f" taken for {entry.made}"
        )
        old, new = (each.splitlines()[entry.line] for each in (text, after))
        repairs.append(Repair(what, FSTAB, old, new))
    return repairs


def mistaken_findings(entries: Sequence[Mistaken]) -> list[Finding]:
    """Return what is wrong when nothing may be repaired."""
    return [
        Finding(
            ERROR,
            FSTAB,
            f"hyper2kvm took {entry.was}, which the guest mounts on {entry.mount_point}, for"
            f" {entry.made}, which it is not.",
            f"Have the guest name it by UUID before the export{OR_REPAIR}.",
        )
        for entry in entries
    ]


def put_back_options(files: GuestFiles, kept_fstab: str) -> list[Repair]:
    """Take off what hyper2kvm added to the mounts' options.

    Args:
        files: The guest after FIX.
        kept_fstab: The text of its fstab before.

    Returns:
        One repair a line that was changed.
    """
    before = text_of(files, FSTAB)
    after = with_own_options(before, kept_fstab)
    if after == before:
        return []
    write_text(files, FSTAB, after)
    return [
        Repair("Took off the mount options that hyper2kvm had added", FSTAB, old, new)
        for old, new in zip(before.splitlines(), after.splitlines())
        if old != new
    ]


def with_own_options(text: str, kept: str) -> str:
    """Return an fstab after FIX with the options that it had before, line by line.

    A line that differs in its device and in nothing else then is the line of before, its spaces
    included, with the new device.
    """
    lines = text.splitlines(keepends=True)
    kept_lines = kept.splitlines()
    for mount, old in _pairs(parse_fstab(text), parse_fstab(kept)):
        options = tuple(
            option for option in mount.options if option not in _ADDED or option in old.options
        )
        if options == mount.options:
            continue
        line = lines[mount.line]
        ending = line[len(line.rstrip("\r\n")) :]
        if (options, mount.type) == (old.options, old.type):
            own = kept_lines[old.line]
            lines[mount.line] = with_devices(own, {0: (old.spec, mount.spec)}) + ending
        else:
            written, wanted = ",".join(mount.options), ",".join(options) or "defaults"
            head, _found, tail = line.partition(written)
            lines[mount.line] = head + wanted + tail
    return "".join(lines)


def _pairs(after: Sequence[Mount], before: Sequence[Mount]) -> list[tuple[Mount, Mount]]:
    """Return each entry with the one that it was: the same mount point, in the same turn."""
    left = list(before)
    found = []
    for mount in after:
        old = next((each for each in left if each.mount_point == mount.mount_point), None)
        if old is not None:
            left.remove(old)
            found.append((mount, old))
    return found


def _meant(mount: Mount, storage: Storage, root_device: str) -> Volume | None:
    """Return what an entry named before FIX, None where that can't be told."""
    if mount.mount_point == "/":
        return storage.named(root_device)
    return storage.find(mount.spec, mount_point=mount.mount_point, fs_type=mount.type).volume


def _may_be(
    made: Volume | None, old: Mount, meant: Volume | None, others: Sequence[Volume]
) -> bool:
    """Tell whether what FIX made of an entry is what it was."""
    if made is None:
        return False
    if meant is not None:
        return _same(made, meant)
    # It can't be told what it was, but some things that it was not.
    kinds = {old.type} if old.type != "auto" else set()
    taken = made.type != "btrfs" and any(_same(made, other) for other in others)
    return not taken and (not kinds or made.type in kinds)


def _same(one: Volume, other: Volume) -> bool:
    """Tell whether two volumes hold the same filesystem: btrfs takes several."""
    return one == other or one.uuid == other.uuid != ""
