# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The disk that Debian's package grub-pc writes GRUB to at its next update: debconf has its name.

The guest boots whatever that is. Which name is right then depends on the bus that the domain has
its disks on, so it is left to the guest's owner.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..files import GuestFiles, text_of
from ..repair import WARNING, Finding
from ..storage import is_positional

_ANSWERS = "/var/cache/debconf/config.dat"
_INSTALLED = "/var/lib/dpkg/info/grub-pc.postinst"
# Entries are separated by empty lines; "Variables:" may come before or after.
_DEVICES = re.compile(r"^Name: grub-pc/install_devices\n(?:.+\n)*?Value: (.+)$", re.MULTILINE)


def findings(files: GuestFiles) -> Iterator[Finding]:
    """Return what is to be known of a guest whose grub-pc names a disk of the old controller."""
    found = _DEVICES.search(text_of(files, _ANSWERS)) if files.is_file(_INSTALLED) else None
    if found and any(map(is_positional, found[1].split(", "))):
        yield Finding(
            WARNING,
            _ANSWERS,
            f"The package grub-pc is set to write GRUB to {found[1]}, as the disk was called on the"
            " old controller; its next update asks for another one, or fails.",
            "Run dpkg-reconfigure grub-pc in the guest on KVM, and choose its boot disk there.",
        )
