# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of docs/guests.md, from the records of the runs and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import (
    assemble,
    debian_btrfs,
    debian_lvm,
    debian_selinux,
    debian_uefi,
    debian_ways,
    ways,
)
from ansible_collections.hypersdk.hyper2kvm.tests.guests.cells import (
    ALONE,
    BEFORE,
    CONFIGURED,
    OURS,
    UNTOUCHED,
    Cell,
    load_cell,
    load_conversion,
)

# Guest, the way that its boots are shown with, and its layout.
_BOOTS = (
    (debian_ways.WAYS, ways.ALL[0], "BIOS, ext4, initramfs for the hardware (`MODULES=dep`)"),
    (
        debian_ways.MODULES_LIST,
        debian_ways.CHOSEN[0],
        "BIOS, ext4, `MODULES=list` with the root filesystem's module last",
    ),
    (debian_uefi.NAME, "", "UEFI, GPT, ESP with signed shim and GRUB, ext4"),
    (debian_lvm.NAME, debian_lvm.WAY.name, "BIOS, root on LVM, separate /boot"),
    (debian_btrfs.NAME, "", "BIOS, btrfs, root on subvolume @, @home"),
    (debian_selinux.NAME, "", "BIOS, ext4, SELinux enforcing Debian's default policy"),
)


def write(document: Path, results: Path) -> None:
    """Put the tables into a document, between the comments that name them."""
    text = document.read_text(encoding="utf-8")
    for name, rows in (("boot", _boot_rows(results)), ("network", _network_rows(results))):
        table = "".join("| " + " | ".join(row) + " |\n" for row in rows)
        head, end = f"<!-- table {name} -->\n", "<!-- end -->"
        before, found, rest = text.partition(head)
        _old, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"{document} has no place for the table {name}.")
        text = before + head + table + end + after
    document.write_text(text, encoding="utf-8")


def _boot_rows(results: Path) -> list[list[str]]:
    columns = ["guest", "as it comes, on virtio", "after hyper2kvm alone"]
    columns += ["after `hyper2kvm_convert`", "what was repaired"]
    rows = [columns, ["---"] * len(columns)]
    for guest, way, title in _BOOTS:
        alone = _booted(load_cell(results, guest, ALONE, way))
        word = load_conversion(results, guest, ALONE)
        if word:
            claim = "success" if word.said == "success" else _short(word.said)
            alone = f"says {claim}; {alone or 'no image'}"
        ours = load_conversion(results, guest, OURS)
        cell = _booted(load_cell(results, guest, OURS, way))
        if ours and ours.said != "success":
            cell = f"refused: {_short(ours.said)}"
        repaired = _repaired(ours.repaired) if ours else ""
        untouched = _booted(load_cell(results, guest, UNTOUCHED, way))
        rows.append([title, untouched, alone, cell, repaired])
    configured = load_cell(results, debian_uefi.NAME, CONFIGURED, debian_uefi.CONFIGURED.name)
    extra = ""
    if configured and configured.login:
        seen = "; ".join(f"{name}: {said or 'no'}" for name, said in configured.extra.items())
        extra = f"{_booted(configured)}; {_answers(configured)}; {seen}"
    rows.append(["the UEFI guest with `configuration` in the manifest", "", "", extra, ""])
    return rows


def _network_rows(results: Path) -> list[list[str]]:
    rows = [
        ["configured by", "as on ESXi", "after hyper2kvm alone", "after `hyper2kvm_convert`"],
        ["---"] * 4,
    ]
    for name in ways.ALL:
        # The one that needs more of the kernel than the others have.
        guest = debian_lvm.NAME if name == debian_lvm.WAY.name else debian_ways.WAYS
        rows.append(_network_row(results, ways.way(name).title, guest, name))
    title = "ifupdown, `net.ifnames=0`, eth0 and eth1 (the UEFI guest)"
    rows.append(_network_row(results, title, debian_uefi.NAME, ""))
    return rows


def _network_row(results: Path, title: str, guest: str, way: str) -> list[str]:
    cells = [load_cell(results, guest, step, way) for step in (BEFORE, ALONE, OURS)]
    return [title, *(_answers(cell) for cell in cells)]


# What is told by its number: the beginning of the sentence, and what it is of.
_COUNTED = (
    ("Put back a network file", "network files put back"),
    ("Pinned ", "names pinned to their MAC addresses"),
    ("Took away the copy", "copies of hyper2kvm's taken away"),
)


def _repaired(sentences: Sequence[str]) -> str:
    words = []
    for each in dict.fromkeys(sentences):
        if not each.startswith(tuple(start for start, _of in _COUNTED)):
            words.append(_short(each).split(", since", maxsplit=1)[0])
    for start, what in _COUNTED:
        number = sum(each.startswith(start) for each in sentences)
        if number:
            words.append(f"{number} {what}")
    return "; ".join(words)


def _booted(cell: Cell | None) -> str:
    if cell is None:
        return ""
    if not cell.login:
        return f"stops: `{_short(cell.stopped)}`"
    if cell.data_intact:
        return "boots, data intact"
    mounts = cell.facts.get("mount", [])
    if any(mount.startswith(f"{assemble.DATA_MOUNT} ") for mount in mounts):
        return "boots, **data not as it was**"
    return "boots, **data disk not mounted when services start**"


def _answers(cell: Cell | None) -> str:
    if cell is None:
        return ""
    if not cell.login:
        return "does not boot"
    if not cell.silent:
        return f"answers: {_list(list(cell.answers))}"
    spoke = [name for name in cell.answers if name not in cell.silent]
    silent = f"**silent: {_list(cell.silent)}**"
    return f"{silent}; answers: {_list(spoke)}" if spoke else silent


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)


def _short(text: str) -> str:
    line = text.splitlines()[0] if text else ""
    return line.replace("|", "\\|")
