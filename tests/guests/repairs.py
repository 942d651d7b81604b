# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of what was repaired: a row for each kind of repair, a column for each guest."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# A sentence of `repaired[]`, and what it is called here. What is in the parentheses is shown
# in the cell; without any, how often it was done.
_KINDS = tuple(
    (re.compile(pattern), title)
    for pattern, title in (
        (r"Listed (.+) again, which", "listed again for the initramfs: FIX had commented it out"),
        (r"Listed (.+) for the initramfs", "listed for the initramfs"),
        (r"Told (\S+) what the initramfs needs", "told what the initramfs needs"),
        (r"Made the initramfs of kernel \S+ anew with (\S+)", "initramfs made anew with"),
        (r"Copied \S+ to where firmware", "boot loaders copied to where firmware looks"),
        (r"Named what is mounted on (\S+) ", "mounts that FIX gave another filesystem, put right"),
        (r"Named .+ instead of ([^\s,]+)", "name that ends with the old controller, replaced"),
        (r"Took off the mount options", "mounts whose options of FIX's were taken off"),
        (r"Put back a network file", "network files put back"),
        (r"Put back a link", "links to units put back"),
        (r"Took away hyper2kvm's mask", "masks of units taken away"),
        (r"Pinned (\S+) to", "names pinned to MAC addresses"),
        (r"Made btrfs' subvolume (\S+) the default", "btrfs' default subvolume while FIX ran"),
        (r"Took away the copy", "copies of FIX's taken away"),
        (r"Gave a file its SELinux label", "files given their SELinux labels"),
    )
)
# So many of a kind are named, the rest is counted.
_NAMED = 2


def rows(repaired: Mapping[str, Sequence[str] | None]) -> list[list[str]]:
    """Return the table's rows.

    Args:
        repaired: By the guest's title the sentences of its repairs, None when it was not converted.
    """
    found: dict[str, dict[str, list[str]]] = {title: {} for _pattern, title in _KINDS}
    for guest, sentences in repaired.items():
        for sentence in sentences or ():
            title, shown = _kind(sentence)
            found.setdefault(title, {}).setdefault(guest, []).append(shown)
    return [
        ["", *repaired],
        ["---"] * (len(repaired) + 1),
        *(
            [title, *(_cell(done.get(guest, [])) for guest in repaired)]
            for title, done in found.items()
            if done
        ),
    ]


def _kind(sentence: str) -> tuple[str, str]:
    for pattern, title in _KINDS:
        match = pattern.match(sentence)
        if match:
            return title, match.group(1) if pattern.groups else ""
    return sentence.replace("|", "\\|"), ""


def _cell(shown: Sequence[str]) -> str:
    names = list(dict.fromkeys(name for each in shown for name in each.split(", ") if name))
    if not names:
        return str(len(shown)) if shown else ""
    text = ", ".join(f"`{name}`" for name in names[:_NAMED])
    more = len(names) - _NAMED
    return f"{text} and {more} more" if more > 0 else text
