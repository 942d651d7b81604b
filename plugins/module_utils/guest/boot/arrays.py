# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps a guest's mdadm from its arrays on KVM: mdadm.conf(5) that has disks by old names.

A line DEVICE lists the only devices that are looked at, where there is one; without it all are. An
ARRAY with devices= is assembled of those alone, even where its UUID is beside it, as
"mdadm --detail --scan --verbose" writes it.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..files import GuestFiles, text_of, write_text
from ..repair import ERROR, OR_REPAIR, Finding, Repair
from ..storage import Storage, name_on_kvm

_CONFIGURATION = ("/etc/mdadm/mdadm.conf", "/etc/mdadm.conf")
_DROP_INS = ("/etc/mdadm/mdadm.conf.d", "/etc/mdadm.conf.d")
# A keyword may be cut to three letters; what is indented goes on with the line above.
_ENTRY = re.compile(r"^(DEV|ARR)[a-z]*[ \t].*(?:\n[ \t]+\S.*)*", re.IGNORECASE | re.MULTILINE)
_DEVICES = re.compile(r"\s+devices=(\S+)", re.IGNORECASE)
_IDENTITY = re.compile(r"\s(?:uuid|name)=", re.IGNORECASE)


@dataclass(frozen=True)
class Restriction:
    """An entry of mdadm.conf that leaves out disks of this VM.

    Attributes:
        path: The file.
        before: The entry, as it is written.
        after: What it has to be, "" where that can't be told.
    """

    path: str
    before: str
    after: str


def find_restrictions(files: GuestFiles, storage: Storage) -> tuple[Restriction, ...]:
    """Return what keeps mdadm from members of arrays that it had on the old controller."""
    members = [one.name for one in storage.volumes if one.type == "linux_raid_member"]
    if not members:
        return ()
    entries = [
        (path, found[0], found[1].upper())
        for path in _files(files)
        for found in _ENTRY.finditer(text_of(files, path))
    ]
    restrictions = []
    lists = [(path, entry) for path, entry, kind in entries if kind == "DEV"]
    words = [word for _path, entry in lists for word in entry.split()[1:]]
    if lists and not _holds_all(words, [name_on_kvm(name) for name in members]):
        path, entry = lists[0]
        restrictions.append(Restriction(path, entry, "DEVICE partitions"))
    for path, entry, kind in entries:
        listed = _DEVICES.search(entry) if kind == "ARR" else None
        if listed and _has_old_names(listed[1].split(","), members):
            after = _DEVICES.sub("", entry) if _IDENTITY.search(entry) else ""
            restrictions.append(Restriction(path, entry, after))
    return tuple(restrictions)


def findings(restrictions: Sequence[Restriction]) -> Iterator[Finding]:
    """Return what is wrong with them."""
    for one in restrictions:
        yield Finding(
            ERROR,
            one.path,
            f"{one.path} keeps mdadm from the arrays' disks on KVM, since it has them by names of"
            f" the old controller: {' '.join(one.before.split())}.",
            "Have DEVICE say partitions, and each ARRAY go by its UUID without devices=, in the"
            f" guest before the export{OR_REPAIR if one.after else ''}.",
        )


def repair_restrictions(files: GuestFiles, restrictions: Sequence[Restriction]) -> list[Repair]:
    """Let mdadm look at all disks, and tell arrays by their UUIDs."""
    repairs = []
    for one in restrictions:
        if one.after:
            text = text_of(files, one.path)
            write_text(files, one.path, text.replace(one.before, one.after, 1))
            what = "Let mdadm find arrays on disks of any name"
            repairs.append(Repair(what, one.path, one.before, one.after))
    return repairs


def _files(files: GuestFiles) -> list[str]:
    paths = [path for path in _CONFIGURATION if files.is_file(path)]
    for directory in _DROP_INS:
        names = files.list(directory)
        paths += [f"{directory}/{name}" for name in names if name.endswith(".conf")]
    return paths


def _holds_all(words: Sequence[str], names: Sequence[str]) -> bool:
    """Tell whether DEVICE's words let mdadm look at all these."""
    if "partitions" in (word.lower() for word in words):
        return True
    return all(any(fnmatch.fnmatchcase(name, word) for word in words) for name in names)


def _has_old_names(words: Sequence[str], members: Sequence[str]) -> bool:
    """Tell whether an array's own list leaves out what it has on KVM; whose it is, is not known."""
    return not all(
        any(fnmatch.fnmatchcase(name_on_kvm(name), word) for name in members) for word in words
    )
