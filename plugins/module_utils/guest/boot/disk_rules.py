# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of udev's by which a guest knows its disks, and which match none of them on virtio.

A database that finds its disks as /dev/oracleasm/disk1 says so in such a rule, by the serial number
that scsi_id(8) reads or by the name sd?1. The guest boots without them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..files import GuestFiles, text_of
from ..repair import WARNING, Finding

_RULES = "/etc/udev/rules.d"
_KEY = re.compile(r'([A-Z]+(?:\{[^}]*\})?)\s*(==|!=|:=|\+=|-=|=)\s*"([^"]*)"')
_GIVING = ("NAME", "SYMLINK", "OWNER", "GROUP")
# What udev, or a program that a rule runs, reads of a SCSI disk.
_OF_SCSI = re.compile(
    r"(?:ENV\{)?ID_(?:SERIAL|WWN|SCSI|PATH|VENDOR|MODEL)|ATTRS?\{(?:vendor|model|wwid)\}"
)


def findings(files: GuestFiles) -> Iterator[Finding]:
    """Return the files of rules that give a name or an owner to a disk of the old controller."""
    for name in files.list(_RULES):
        path = f"{_RULES}/{name}"
        if not name.endswith(".rules"):
            continue
        text = re.sub(r"\\\r?\n", " ", text_of(files, path))
        lines = [line.strip() for line in text.splitlines() if not line.lstrip().startswith("#")]
        found = next(filter(_is_for_scsi, lines), None)
        if found is not None:
            yield Finding(
                WARNING,
                path,
                f"It gives a name or an owner to disks by what is another on virtio: {found}",
                "Have the rule go by the filesystem's or the partition's own UUID in the guest"
                " (ENV{ID_FS_UUID}, ENV{ID_PART_ENTRY_UUID}), or mend it on KVM.",
            )


def _is_for_scsi(line: str) -> bool:
    keys = _KEY.findall(line)
    matched = [(key, value) for key, sign, value in keys if sign == "=="]
    if not any(key in _GIVING for key, sign, _value in keys if sign != "=="):
        return False
    if ("SUBSYSTEM", "net") in matched:
        return False
    return any(
        _OF_SCSI.match(key)
        or (key in ("KERNEL", "KERNELS") and _is_scsi_name(value))
        or (key == "PROGRAM" and "scsi_id" in value)
        for key, value in matched
    )


def _is_scsi_name(pattern: str) -> bool:
    """Tell whether a pattern is for sda and not for vda as well."""
    each = pattern.split("|")
    return any(one.startswith("sd") for one in each) and not any("vd" in one for one in each)
