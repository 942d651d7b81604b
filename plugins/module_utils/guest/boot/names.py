# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether what a guest's files name is on its disks, under a name that outlives the controller."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..files import GuestFiles, text_of, write_text
from ..fstab import FSTAB, Encrypted, Mount, parse_crypttab, parse_fstab, with_devices
from ..repair import ERROR, OR_REPAIR, WARNING, Finding, Repair
from ..storage import Match, Storage, Volume, stable_name, stable_path
from .command_line import Reference, find_references, replaced
from .units import DeviceUnit, find_device_units

CRYPTTAB = "/etc/crypttab"
_MAPPER = "/dev/mapper/"
# systemd's name for the device of a mount or of swap space.
_WHAT = "What"
# A disk by its serial number or its place, and the number of a partition on it.
_ON_A_DISK = re.compile(r"(/dev/(?:disk/by-(?:id|path)|mapper)/.+?)(?:-part(\d+))?$")


@dataclass(frozen=True)
class Named:
    """A device that a file names, and what is to be said of it.

    Attributes:
        path: The file.
        spec: The device as it is written there.
        use: What it is for, for a sentence.
        type: What it holds, "" or "auto" where that is not said.
        match: What it is.
        optional: Whether the guest boots on without it, by its owner's wish.
        line: Its line in fstab or crypttab.
        reference: Its place in a boot loader's file or a unit of systemd's.
    """

    path: str
    spec: str
    use: str
    type: str
    match: Match
    optional: bool = False
    line: int = -1
    reference: Reference | None = None

    @property
    def stable(self) -> str:
        """A name for good, "" when there is none."""
        if self.match.volume is None:
            return ""
        if self.reference is not None and self.reference.key == _WHAT:
            return stable_path(self.match.volume)
        return stable_name(self.match.volume)

    @property
    def is_replaceable(self) -> bool:
        """Whether the name can be replaced where it stands; a swap unit is itself called so."""
        return self.line >= 0 or self.reference is not None


def find_named(
    files: GuestFiles, storage: Storage, root_device: str, original_fstab: str
) -> tuple[Named, ...]:
    """Return every device that fstab, crypttab, systemd's units and the boot loader's files name.

    Args:
        files: The guest.
        storage: Its volumes.
        root_device: The volume that its root is on.
        original_fstab: Its fstab before FIX: hyper2kvm writes "nofail" on nearly every entry, and
            what need not be there is for the guest's owner to say.
    """
    root = storage.named(root_device)
    encrypted = parse_crypttab(text_of(files, CRYPTTAB))
    opened = {entry.name for entry in encrypted}
    optional = {m.mount_point for m in parse_fstab(original_fstab) if m.is_optional}
    named: list[Named] = []
    for mount in parse_fstab(text_of(files, FSTAB)):
        named += _of_mount(mount, storage, root, opened, mount.mount_point in optional)
    for entry in encrypted:
        named += _of_crypttab(entry, storage)
    for unit in find_device_units(files):
        named += _of_unit(unit, storage, opened)
    for reference in find_references(files):
        named += _of_reference(reference, storage, root, opened)
    return tuple(_beside_others(named, storage))


def findings(named: tuple[Named, ...]) -> Iterator[Finding]:
    """Return what is wrong with the names."""
    for one in named:
        severity = WARNING if one.optional else ERROR
        if one.match.volume is None:
            how = (
                "which is where it was on the old controller, and on the exported disks nothing"
                " could be told to be it"
                if not one.match.stable
                else "which is on none of this VM's disks"
            )
            yield Finding(
                severity,
                one.path,
                f"{one.path} names {one.spec} as {one.use}, {how}.",
                "Export all disks of the VM, or have the guest name it by UUID, or take the entry"
                " out or mark it nofail before the export.",
            )
        elif not one.match.stable:
            yield Finding(
                severity,
                one.path,
                f"{one.path} names {one.spec} as {one.use}; that name ends with the old"
                " controller.",
                f"Name it {one.stable or 'by UUID'} in the guest before the export{OR_REPAIR}.",
            )


def repair_names(files: GuestFiles, named: tuple[Named, ...]) -> list[Repair]:
    """Give everything that can be told apart a name for good."""
    repairs = []
    for one in named:
        if one.match.stable or not (one.stable and one.is_replaceable):
            continue
        if one.reference is not None:
            before, after = replaced(files, one.reference, one.stable)
            if before == after:
                continue
        else:
            text = text_of(files, one.path)
            changed = with_devices(text, {one.line: (one.spec, one.stable)})
            write_text(files, one.path, changed)
            before, after = (part.splitlines()[one.line] for part in (text, changed))
        because = f", since {one.match.assumed}" if one.match.assumed else ""
        what = f"Named {one.use} {one.stable} instead of {one.spec}{because}"
        repairs.append(Repair(what, one.path, before, after))
    return repairs


def _beside_others(named: list[Named], storage: Storage) -> Iterator[Named]:
    """Yield the names, with what is on a disk that another name has told.

    Of /dev/disk/by-id/scsi-36000c29…-part2, the root, it is known where it is. So is then where
    …-part1 is.
    """
    disks: dict[str, tuple[str, str]] = {}
    for one in named:
        place = _ON_A_DISK.match(one.spec)
        if place and one.match.volume is not None and one.match.volume.name.startswith("/dev/sd"):
            disk = one.match.volume.name.rstrip("0123456789")
            disks.setdefault(place[1], (disk, one.spec))
    for one in named:
        place = _ON_A_DISK.match(one.spec)
        if place and one.match.volume is None and not one.match.stable and place[1] in disks:
            disk, other = disks[place[1]]
            volume = storage.named(disk + (place[2] or ""))
            if volume is not None and one.type in ("", "auto", volume.type):
                match = Match(volume, stable=False, assumed=f"it is on the same disk as {other}")
                yield replace(one, match=match)
                continue
        yield one


def _of_mount(
    mount: Mount, storage: Storage, root: Volume | None, opened: set[str], optional: bool
) -> Iterator[Named]:
    if "bind" in mount.options or "rbind" in mount.options or _is_opened(mount.spec, opened):
        return
    use = "swap space" if mount.is_swap else f"the filesystem on {mount.mount_point}"
    if mount.mount_point == "/":
        match = _root_match(mount.spec, storage, root)
    else:
        match = storage.find(mount.spec, mount_point=mount.mount_point, fs_type=mount.type)
    if match.is_device:
        yield Named(FSTAB, mount.spec, use, mount.type, match, optional=optional, line=mount.line)


def _of_crypttab(entry: Encrypted, storage: Storage) -> Iterator[Named]:
    # "swap" and its like have no LUKS header.
    kind = "" if {"swap", "tmp", "plain"} & set(entry.options) else "crypto_LUKS"
    match = storage.find(entry.spec, fs_type=kind)
    if match.is_device:
        use = f"the encrypted device {entry.name}"
        yield Named(
            CRYPTTAB, entry.spec, use, kind, match, optional=entry.is_optional, line=entry.line
        )


def _of_unit(unit: DeviceUnit, storage: Storage, opened: set[str]) -> Iterator[Named]:
    if _is_opened(unit.what, opened):
        return
    match = storage.find(unit.what, mount_point=unit.where, fs_type=unit.type)
    if not match.is_device:
        return
    is_swap = unit.type == "swap"
    yield Named(
        unit.path,
        unit.what,
        "swap space" if is_swap else f"the filesystem on {unit.where}",
        unit.type,
        match,
        # A boot goes on without swap space.
        optional=is_swap or not unit.enabled,
        reference=None if is_swap else Reference(unit.path, _WHAT, unit.what, unit.what),
    )


def _of_reference(
    reference: Reference, storage: Storage, root: Volume | None, opened: set[str]
) -> Iterator[Named]:
    if _is_opened(reference.spec, opened):
        return
    kind = ""
    if reference.key == "root":
        match = _root_match(reference.spec, storage, root)
        use = "the root filesystem"
    elif reference.key == "resume":
        kind, use = "swap", "where to resume from"
        match = storage.find(reference.spec, fs_type=kind)
    elif reference.key == "boot":
        match = storage.find(reference.spec, mount_point="/boot")
        use = "where the kernel is, for its check by FIPS"
    elif reference.key == "search":
        match, use = storage.find(reference.spec), "the filesystem that GRUB looks for"
    else:
        match, use = storage.find(reference.spec), reference.key
    if match.is_device:
        spec = reference.spec if reference.key == "search" else reference.value
        yield Named(reference.path, spec, use, kind, match, reference=reference)


def _root_match(spec: str, storage: Storage, root: Volume | None) -> Match:
    """Return what the name of the root is; which volume that is, is known already."""
    match = storage.find(spec)
    if match.is_device and not match.stable:
        return Match(root, stable=False)
    return match


def _is_opened(spec: str, opened: set[str]) -> bool:
    return spec.startswith(_MAPPER) and spec[len(_MAPPER) :] in opened
