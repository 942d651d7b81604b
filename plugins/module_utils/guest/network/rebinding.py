# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest whose NICs get new MAC addresses: what its files bind to the old ones is bound anew."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

from ..files import GuestFiles
from ..repair import Repair
from .interface import Nic
from .keeping import Kept
from .reading import NetworkReading


def with_macs(nics: Sequence[Nic], macs: Mapping[str, str]) -> tuple[Nic, ...]:
    """Return NICs with new MAC addresses.

    Args:
        nics: The NICs as they were.
        macs: New addresses by the NICs' ids; one that is not there stays.
    """
    return tuple(replace(nic, mac=macs.get(nic.id, nic.mac)) for nic in nics)


def rebind(
    files: GuestFiles, kept: Kept, new: Mapping[str, str], given: Collection[str] = ()
) -> list[Repair]:
    """Put new MAC addresses in the place of old ones in a guest's network files.

    Args:
        files: The guest, its network files put back.
        kept: What was put back.
        new: New addresses by the old ones, both in lower case with colons.
        given: Paths of the user's own files, which stay as they are given.
    """
    repairs = []
    for path, each in kept.files.items():
        if path in given or each.target is not None or not files.is_file(path):
            continue
        before = files.read(path)
        after, done = before, []
        for old, mac in new.items():
            after, count = _pattern(old).subn(partial(_alike, mac=mac), after)
            if count:
                done.append(f"{old} to {mac}")
        if done:
            files.write(path, after)
            what = f"Bound what the file says of MAC addresses to the new ones ({', '.join(done)})"
            repairs.append(Repair(what, path))
    return repairs


def rebound(reading: NetworkReading, new: Mapping[str, str]) -> NetworkReading:
    """Return a reading of files in which new MAC addresses have taken the place of old ones."""

    def mac(old: str) -> str:
        return new.get(old, old)

    return replace(
        reading,
        names=tuple(replace(each, mac=mac(each.mac)) for each in reading.names),
        macs=tuple(map(mac, reading.macs)),
        expected=tuple(replace(each, mac=mac(each.mac)) for each in reading.expected),
        udev=replace(
            reading.udev,
            rules=tuple(replace(each, mac=mac(each.mac)) for each in reading.udev.rules),
            links=tuple(replace(each, mac=mac(each.mac)) for each in reading.udev.links),
        ),
    )


def _pattern(mac: str) -> re.Pattern[bytes]:
    """Return what finds an address, also as old keyfiles of NetworkManager write it (0;80;86;…)."""
    pairs = mac.split(":")
    plain = "[:-]".join(pairs)
    numbers = ";".join(str(int(pair, 16)) for pair in pairs)
    # Not within something longer, such as a DUID.
    return re.compile(
        rf"(?i)(?<![0-9a-f:;-])(?:{plain}(?![0-9a-f:-])|{numbers}(?![0-9]))".encode("ascii")
    )


def _alike(match: re.Match[bytes], mac: str) -> bytes:
    """Return an address written as the one that it replaces."""
    found = match[0]
    if b";" in found:
        return ";".join(str(int(pair, 16)) for pair in mac.split(":")).encode("ascii")
    text = mac.replace(":", "-") if b"-" in found else mac
    upper = found.upper() == found and found.lower() != found
    return (text.upper() if upper else text).encode("ascii")
