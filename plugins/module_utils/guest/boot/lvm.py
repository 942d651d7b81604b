# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps a guest's LVM from its own disks on KVM: it was told which ones by their old names.

The devices file (lvmdevices(8), the default of RHEL 9) lists the only disks that LVM looks at, by
what the old controller said of them. Without that file it looks at all. A filter in lvm.conf(5)
goes by names in /dev: of each name of a disk the first pattern that matches counts, one accepted
name is enough, and what no pattern matches is accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..files import GuestFiles, text_of, write_text
from ..repair import ERROR, OR_REPAIR, Finding, Repair
from ..storage import Storage, Volume, name_on_kvm

DEVICES_FILE = "/etc/lvm/devices/system.devices"
_CONFIGURATION = ("/etc/lvm/lvm.conf", "/etc/lvm/lvmlocal.conf")
# Kinds of IDs that are on the disks themselves; the others are the hardware's, or a name in /dev.
_OWN_IDS = frozenset({"crypt_uuid", "lvmlv_uuid", "md_uuid", "loop_file"})
_ENTRY = re.compile(r"(?:^|\s)(IDTYPE|PVID)=(\S+)")
_SWITCHED_OFF = re.compile(r"^\s*(?:devices/)?use_devicesfile\s*=\s*0", re.MULTILINE)
_FILTER = re.compile(
    r'^[ \t]*(?:devices/)?(?:global_)?filter[ \t]*=[ \t]*(\[?)((?:"(?:[^"\\]|\\.)*"|[\s,])+)(\]?)',
    re.MULTILINE,
)
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
_CLOSING = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True)
class Obstacle:
    """A file that keeps LVM from physical volumes of this VM.

    Attributes:
        path: The file.
        disks: The physical volumes, as the appliance names them.
        how: How it names them, the end of a sentence.
        text: What it holds, mended: what it has to hold; None for no file at all.
    """

    path: str
    disks: tuple[str, ...]
    how: str
    text: str
    mended: str | None = None


def find_obstacles(files: GuestFiles, storage: Storage) -> tuple[Obstacle, ...]:
    """Return what keeps a guest's LVM from volumes that it had on the old controller."""
    physical = [volume for volume in storage.volumes if volume.type == "LVM2_member"]
    if not physical:
        return ()
    return (*_in_devices_file(files, physical), *_in_filters(files, physical))


def findings(obstacles: Sequence[Obstacle]) -> Iterator[Finding]:
    """Return what is wrong with them."""
    for one in obstacles:
        yield Finding(
            ERROR,
            one.path,
            f"{one.path} keeps LVM from {', '.join(one.disks)} on KVM, since it names disks"
            f" {one.how}.",
            "Take the devices file away, or have the filter accept /dev/vd*, in the guest before"
            f" the export{OR_REPAIR}.",
        )


def repair_obstacles(files: GuestFiles, obstacles: Sequence[Obstacle]) -> list[Repair]:
    """Let LVM have its volumes."""
    repairs = []
    for one in obstacles:
        disks = ", ".join(one.disks)
        if one.mended is None:
            files.remove(one.path)
            what = f"Took away LVM's devices file, which names {disks} {one.how}"
            repairs.append(Repair(what, one.path, one.text))
            continue
        write_text(files, one.path, one.mended)
        old, new = one.text.splitlines(), one.mended.splitlines()
        changed = [(before, after) for before, after in zip(old, new) if before != after]
        repairs.append(
            Repair(
                f"Had LVM's filter accept the names that {disks} get on KVM",
                one.path,
                "\n".join(before for before, _after in changed),
                "\n".join(after for _before, after in changed),
            )
        )
    return repairs


def _in_devices_file(files: GuestFiles, physical: Sequence[Volume]) -> Iterator[Obstacle]:
    text = text_of(files, DEVICES_FILE)
    if any(_SWITCHED_OFF.search(text_of(files, path)) for path in _CONFIGURATION):
        return
    entries = [dict(_ENTRY.findall(line)) for line in text.splitlines() if not line.startswith("#")]
    listed = {entry.get("PVID") for entry in entries}
    listed -= {entry.get("PVID") for entry in entries if entry.get("IDTYPE") in _OWN_IDS}
    lost = [one.name for one in physical if one.uuid.replace("-", "") in listed]
    if lost:
        yield Obstacle(DEVICES_FILE, tuple(lost), "by what the old controller said of them", text)


def _in_filters(files: GuestFiles, physical: Sequence[Volume]) -> Iterator[Obstacle]:
    for path in _CONFIGURATION:
        text = text_of(files, path)
        mended, lost = _with_filters_mended(text, physical)
        if lost:
            yield Obstacle(path, lost, "by names of the old controller", text, mended)


def _with_filters_mended(text: str, physical: Sequence[Volume]) -> tuple[str, tuple[str, ...]]:
    """Return the configuration with its filters accepting what they accepted, and whom they had lost."""
    lost: dict[str, None] = {}

    def mend(found: re.Match[str]) -> str:
        due = [one for one in physical if _is_lost(one, found[2])]
        lost.update(dict.fromkeys(one.name for one in due))
        if not due:
            return found[0]
        accepted = "".join(f'"a|^{name_on_kvm(one.name)}$|", ' for one in due)
        start = found.start(1) - found.start()
        return f"{found[0][:start]}[ {accepted}{found[2].strip()} ]"

    return _FILTER.sub(mend, text), tuple(lost)


def _is_lost(volume: Volume, patterns: str) -> bool:
    """Tell whether a filter accepted a volume on the old controller, and does not on KVM."""
    rules = [rule for rule in map(_rule, _TEXT.findall(patterns)) if rule is not None]
    own = [
        f"/dev/disk/by-id/lvm-pv-uuid-{volume.uuid}",
        f"/dev/disk/by-partuuid/{volume.part_uuid}",
    ]
    if _accepts(rules, [name_on_kvm(volume.name), *own]):
        return False
    # Which of by-id, by-path and multipath's its names were on the old controller is not known.
    return "/by-" in patterns or "mpath" in patterns or _accepts(rules, [volume.name, *own])


def _rule(text: str) -> tuple[bool, re.Pattern[str]] | None:
    """Return whether a pattern accepts, and what it matches: "a|^/dev/sda|"."""
    if len(text) < 3 or text[0] not in "ar" or text[-1] != _CLOSING.get(text[1], text[1]):
        return None
    try:
        return text[0] == "a", re.compile(text[2:-1])
    except (re.error, RecursionError, OverflowError):
        return None


def _accepts(rules: Sequence[tuple[bool, re.Pattern[str]]], names: Sequence[str]) -> bool:
    rejected = False
    for name in names:
        accept = next((accept for accept, pattern in rules if pattern.search(name)), None)
        if accept:
            return True
        rejected = rejected or accept is False
    return not rejected
