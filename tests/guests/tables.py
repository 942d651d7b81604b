# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of docs/guests.md, from the records of the runs and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import (
    assemble,
    debian_btrfs,
    debian_dracut,
    debian_lvm,
    debian_selinux,
    debian_uefi,
    debian_ways,
    repairs,
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
    lost,
)

# Guest, the way that its boots are shown with, its layout, and that in a word or two.
_BOOTS = (
    (
        debian_ways.WAYS,
        ways.ALL[0],
        "BIOS, ext4, initramfs for the hardware (`MODULES=dep`)",
        "`dep`",
    ),
    (
        debian_ways.MODULES_LIST,
        debian_ways.CHOSEN[0],
        "BIOS, ext4, `MODULES=list` with the root filesystem's module last",
        "`list`",
    ),
    (debian_uefi.NAME, "", "UEFI, GPT, ESP with signed shim and GRUB, ext4", "UEFI"),
    (debian_lvm.NAME, debian_lvm.WAY.name, "BIOS, root on LVM, separate /boot", "LVM"),
    (
        debian_dracut.NAME,
        "",
        "BIOS, dracut, root on XFS on LVM, separate /boot of XFS: as RHEL installs itself",
        "dracut",
    ),
    (debian_btrfs.AT, "", "BIOS, btrfs, root on subvolume @, @home", "btrfs"),
    (
        debian_btrfs.FEDORA,
        "",
        "BIOS, btrfs, root on subvolume root, home: Fedora's names",
        "btrfs `root`",
    ),
    (
        debian_btrfs.SUSE,
        "",
        "BIOS, btrfs, root on the default subvolume @/.snapshots/1/snapshot, @/home, @/var: as"
        " openSUSE installs itself",
        "btrfs snapshot",
    ),
    (debian_selinux.NAME, "", "BIOS, ext4, SELinux enforcing Debian's default policy", "SELinux"),
)


def write(document: Path, results: Path) -> None:
    """Put the tables into a document, between the comments that name them."""
    text = document.read_text(encoding="utf-8")
    tables = {
        "boot": _boot_rows(results),
        "repairs": _repair_rows(results),
        "network": _network_rows(results),
    }
    for name, rows in tables.items():
        table = "".join("| " + " | ".join(row) + " |\n" for row in rows)
        head, end = f"<!-- table {name} -->\n", "<!-- end -->"
        before, found, rest = text.partition(head)
        _old, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"{document} has no place for the table {name}.")
        text = before + head + table + end + after
    document.write_text(text, encoding="utf-8")


def _boot_rows(results: Path) -> list[list[str]]:
    columns = ["guest", "as on ESXi", "as it comes, on virtio", "after hyper2kvm alone"]
    columns += ["after `hyper2kvm_convert`"]
    rows = [columns, ["---"] * len(columns)]
    for guest, way, title, _short_title in _BOOTS:
        before, untouched, alone, ours = (
            load_cell(results, guest, step, way) for step in (BEFORE, UNTOUCHED, ALONE, OURS)
        )
        left = _booted(alone, before)
        word = load_conversion(results, guest, ALONE)
        if word:
            claim = "success" if word.said == "success" else _short(word.said)
            left = f"says {claim}; {left or 'no image'}"
        made = _booted(ours, before)
        conversion = load_conversion(results, guest, OURS)
        if conversion and conversion.said != "success":
            made = f"refused: {_refusal(conversion.said, results)}"
        rows.append([title, _booted(before), _booted(untouched), left, made])
    configured = load_cell(results, debian_uefi.NAME, CONFIGURED, debian_uefi.CONFIGURED.name)
    extra = _booted(configured)
    if configured and configured.login:
        seen = "; ".join(f"{name}: {said or '**no**'}" for name, said in configured.extra.items())
        extra = f"{extra} ({_list(list(configured.answers))}); {seen}"
    rows.append(["the UEFI guest with `configuration` in the manifest", "", "", "", extra])
    return rows


def _repair_rows(results: Path) -> list[list[str]]:
    repaired = {}
    for guest, _way, _title, short in _BOOTS:
        conversion = load_conversion(results, guest, OURS)
        repaired[short] = conversion.repaired if conversion else None
    return repairs.rows(repaired)


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
    title = f"{debian_dracut.WAY.title} (the dracut guest)"
    rows.append(_network_row(results, title, debian_dracut.NAME, ""))
    return rows


def _network_row(results: Path, title: str, guest: str, way: str) -> list[str]:
    cells = [load_cell(results, guest, step, way) for step in (BEFORE, ALONE, OURS)]
    return [title, *(_answers(cell) for cell in cells)]


def _booted(cell: Cell | None, before: Cell | None = None) -> str:
    """Return what a boot was like; *before* is the guest's as on ESXi, to compare with."""
    if cell is None:
        return ""
    if not cell.login:
        return f"stops: `{_short(cell.stopped)}`"
    words = ["boots", _data(cell)]
    words.append(f"**silent: {_list(cell.silent)}**" if cell.silent else "answers")
    gone = lost(cell, before) if before else []
    words += [f"**{each}**" for each in gone]
    if before and cell.facts.get("label") and not gone:
        words.append("enforcing, every label as before")
    return ", ".join(words)


def _data(cell: Cell) -> str:
    if cell.data_intact:
        return "data intact"
    mounts = cell.facts.get("mount", [])
    if any(mount.startswith(f"{assemble.DATA_MOUNT} ") for mount in mounts):
        return "**data not as it was**"
    return "**data disk not mounted when services start**"


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


def _refusal(said: str, results: Path) -> str:
    """Return a conversion's refusal without the places of the machine that it ran on."""
    sentence = _short(said).partition(". Its log: ")[0]
    return sentence.replace(str(results.absolute()), "…")


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)


def _short(text: str) -> str:
    line = text.splitlines()[0] if text else ""
    return line.replace("|", "\\|")
