# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""fstab after FIX: the guest's own mount options again, on the devices that FIX made stable.

hyper2kvm 0.2.1 writes nofail,x-systemd.device-timeout=5s on every mount but / (fixers/bootloader/
post_conversion.py), so that a database whose disk comes late starts on an empty directory.
"""

from __future__ import annotations

from collections.abc import Sequence

from .files import GuestFiles, text_of, write_text
from .fstab import FSTAB, Mount, parse_fstab, with_devices
from .repair import Repair

_ADDED = ("nofail", "x-systemd.device-timeout=5s")


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
