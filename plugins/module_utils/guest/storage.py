# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is on a VM's disks, and which of it a name in a guest's configuration means.

A guest names a filesystem by something that it carries with it (UUID, label, LVM's names), or
by where it was found: a device's name, a controller's path, a disk's serial number. The second
kind ends with the old controller.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_TAGS = ("UUID", "LABEL", "PARTUUID", "PARTLABEL")
_BY_TAG = re.compile(r"/dev/disk/by-(uuid|label|partuuid|partlabel)/(.+)$")
# multipath names a disk by its serial number, the WWID, or by the order in which it saw them.
_BY_PLACE = re.compile(r"/dev/(?:disk/by-(?:path|id)|mapper(?=/3[0-9a-f]{16}))/(.+)$")
_MULTIPATH = re.compile(r"/dev/mapper/mpath([a-z])(?:[-_]?part|p)?(\d*)$")
# Of by-id only what LVM, device mapper and MD put there is on the disks themselves.
_OWN_ID = re.compile(r"(?:dm-(?!.*mpath)|lvm-pv-uuid-|md-)")
_DISK = re.compile(r"/dev/(?:(?:sd|hd|vd|xvd)([a-z]{1,2})(\d*)|nvme(\d+)n(\d+)(?:p(\d+))?)$")
_MAPPED = re.compile(r"/dev/mapper/((?:[^-]|--)+)-((?:[^-]|--)+)$")
_MAPPED_LUKS = re.compile(r"/dev/mapper/luks-([0-9a-fA-F-]{36})$")
_ESP = ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "0xef")
_ESCAPED = re.compile(r"\\x([0-9a-fA-F]{2})|\\(0[0-7]{2}|1[0-7]{2})")


@dataclass(frozen=True)
class Volume:
    """A disk, a partition, a logical volume or an array, as libguestfs' appliance sees it.

    Attributes:
        name: /dev/sda1, /dev/VG/LV or /dev/md0; disks have letters in the VM's order.
        type: What is on it, as blkid says it: ext4, swap, crypto_LUKS, LVM2_member, …
        uuid: The UUID of that, label: its label, as they are written.
        part_uuid: The partition's own UUID, part_label: its own name, part_type: what it is for.
        last_mounted: Where it was last mounted, as ext2, 3 and 4 remember.
    """

    name: str
    type: str = ""
    uuid: str = ""
    label: str = ""
    part_uuid: str = ""
    part_label: str = ""
    part_type: str = ""
    last_mounted: str = ""

    @property
    def is_esp(self) -> bool:
        """Whether it is an EFI system partition, of a GPT or of an MBR."""
        return self.type == "vfat" and self.part_type.lower() in _ESP


@dataclass(frozen=True)
class Match:
    """What a name in a guest's configuration turned out to be.

    Attributes:
        volume: None when nothing on the disks is called so.
        stable: Whether the name holds whatever controller the disks hang on.
        assumed: What had to be assumed to find the volume, a half-sentence.
        is_device: False for what is no block device at all: tmpfs, NFS, a swap file.
    """

    volume: Volume | None = None
    stable: bool = True
    assumed: str = ""
    is_device: bool = True


NO_DEVICE = Match(is_device=False)


def device_of(mountable: str) -> str:
    """Return the device of what libguestfs can mount."""
    if not mountable.startswith("btrfsvol:"):
        return mountable
    parts = mountable[len("btrfsvol:") :].split("/")
    # /dev/sda2/@ or /dev/VG/LV/@
    depth = 3 if parts[2].startswith(("sd", "md", "dm-")) else 4
    return "/".join(parts[:depth])


def is_positional(spec: str) -> bool:
    """Return whether a name ends with the old controller."""
    place = _BY_PLACE.match(spec)
    by_order = _DISK.match(spec) or _MULTIPATH.match(spec)
    return bool(by_order) or bool(place and not _OWN_ID.match(place.group(1)))


def is_removable(spec: str) -> bool:
    """Return whether a name is that of a CD-ROM or floppy drive, which may be empty or gone."""
    return bool(re.match(r"/dev/(?:sr\d|scd\d|cdrom|dvd|fd\d|floppy)", spec))


@dataclass(frozen=True)
class Storage:
    """All volumes on a VM's disks."""

    volumes: Sequence[Volume]

    def find(self, spec: str, *, mount_point: str = "", fs_type: str = "") -> Match:
        """Return what *spec* means.

        Args:
            spec: The first field of fstab, the value of root=, the second field of crypttab.
            mount_point: Where it is mounted, when that is known.
            fs_type: What it holds, when that is known.
        """
        spec = _unescape(spec.strip().strip("\"'"))
        tag, separator, value = spec.partition("=")
        if separator and tag.upper() in _TAGS:
            return Match(self._tagged(tag.upper(), value.strip("\"'")))
        if by_tag := _BY_TAG.match(spec):
            return Match(self._tagged(by_tag.group(1).upper(), by_tag.group(2)))
        if not spec.startswith("/dev/") or is_removable(spec):
            return NO_DEVICE
        if is_positional(spec):
            return self._at_place(spec, mount_point, fs_type)
        return self._named(spec)

    def named(self, name: str) -> Volume | None:
        """Return the volume with a name of the appliance."""
        return next((volume for volume in self.volumes if volume.name == name), None)

    def _tagged(self, tag: str, value: str) -> Volume | None:
        for volume in self.volumes:
            # A UUID's case is a matter of taste, a label's is not.
            if tag == "UUID" and volume.uuid.lower() == value.lower() != "":
                return volume
            if tag == "PARTUUID" and volume.part_uuid.lower() == value.lower() != "":
                return volume
            if tag == "LABEL" and volume.label == value != "":
                return volume
            if tag == "PARTLABEL" and volume.part_label == value != "":
                return volume
        return None

    def members(self, name: str) -> list[str]:
        """Return the names of all volumes that the filesystem on one is on: btrfs takes several."""
        volume = self.named(name)
        if volume is None or volume.type != "btrfs" or not volume.uuid:
            return [name]
        return [one.name for one in self.volumes if one.uuid == volume.uuid]

    def _named(self, spec: str) -> Match:
        if luks := _MAPPED_LUKS.match(spec):
            return Match(self._tagged("UUID", luks.group(1)))
        mapped = _MAPPED.match(spec)
        name = spec
        if mapped:
            group, volume = (part.replace("--", "-") for part in mapped.groups())
            name = f"/dev/{group}/{volume}"
        found = self.named(name)
        if found is None and spec.startswith("/dev/md"):
            # An array's number is given when it is assembled, here as there.
            arrays = [volume for volume in self.volumes if volume.name.startswith("/dev/md")]
            found = arrays[0] if len(arrays) == 1 else None
        # /dev/VG/LV, /dev/mapper/VG-LV, /dev/mdN; the rest of /dev is made by other programs.
        if not (mapped or spec.startswith("/dev/md")):
            others = spec.startswith("/dev/mapper/") or spec.count("/") != 3
            if found is None and others:
                return NO_DEVICE
        return Match(found)

    def _at_place(self, spec: str, mount_point: str, fs_type: str) -> Match:
        """Return the volume that a device's name meant on the old controller."""
        spec = _MULTIPATH.sub(r"/dev/sd\1\2", spec)
        ending = re.search(r"-part(\d+)$", spec)
        disk = _DISK.match(spec)
        number = ending.group(1) if ending else ""
        if disk:
            number = disk.group(2) or disk.group(5) or ""
        fitting = [
            volume
            for volume in self.volumes
            if re.fullmatch(rf"/dev/sd[a-z]+{number}", volume.name)
            and (not fs_type or fs_type == "auto" or volume.type == fs_type)
        ]
        remembered = [v for v in fitting if mount_point and v.last_mounted == mount_point]
        if len(remembered) == 1:
            assumed = f"the filesystem remembers that it was last mounted on {mount_point}"
            return Match(remembered[0], stable=False, assumed=assumed)
        in_order = self.named(f"/dev/sd{_letters(disk)}{number}") if disk else None
        if in_order is None or in_order not in fitting:
            return Match(None, stable=False)
        if mount_point and in_order.last_mounted not in ("", mount_point):
            return Match(None, stable=False)
        letters = in_order.name[len("/dev/sd") :].rstrip("0123456789")
        assumed = f"the guest found its disks in the VM's order, so this is on disk {letters}"
        return Match(in_order, stable=False, assumed=assumed)


def disk_number(name: str) -> int:
    """Return the number of an appliance's disk: 0 for /dev/sda, 26 for /dev/sdaa."""
    number = 0
    for letter in name[len("/dev/sd") :]:
        number = number * 26 + ord(letter) - ord("a") + 1
    return number - 1


def disk_name(number: int) -> str:
    """Return the name of an appliance's disk: /dev/sda for 0, /dev/sdaa for 26."""
    number, letters = number + 1, ""
    while number:
        number, letter = divmod(number - 1, 26)
        letters = chr(ord("a") + letter) + letters
    return f"/dev/sd{letters}"


def name_on_kvm(name: str) -> str:
    """Return the name on virtio of what the appliance calls so: its disks are in the VM's order."""
    return re.sub(r"^/dev/sd", "/dev/vd", name)


def _letters(disk: re.Match[str]) -> str:
    """Return the letter of a disk in the VM's order, "?" where its name does not tell that."""
    if disk.group(1):
        return disk.group(1)
    controller, namespace = int(disk.group(3)), int(disk.group(4))
    # vSphere makes each disk a namespace of its NVMe controller; counted are those of one
    # controller, or the controllers of one disk each.
    if controller and namespace > 1:
        return "?"
    number = controller + namespace - 1
    return chr(ord("a") + number) if number < 26 else "?"


def _unescape(spec: str) -> str:
    """Undo udev's \\x20 and fstab's \\040."""
    return _ESCAPED.sub(
        lambda match: chr(int(match.group(1), 16) if match.group(1) else int(match.group(2), 8)),
        spec,
    )


def stable_path(volume: Volume) -> str:
    """Return the path that udev gives a volume for good, "" when it has nothing to go by."""
    tag, _equals, value = stable_name(volume).partition("=")
    return f"/dev/disk/by-{tag.lower()}/{value}" if tag else ""


def stable_name(volume: Volume) -> str:
    """Return how fstab and root= may name a volume for good, "" when it has nothing to go by."""
    if volume.uuid:
        return f"UUID={volume.uuid}"
    if volume.part_uuid:
        return f"PARTUUID={volume.part_uuid}"
    return ""
