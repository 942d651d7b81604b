# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The devices that boot loaders' files name: on the kernel's command line, and for themselves.

Read: GRUB's configuration and environment block, /etc/default/grub, entries of the Boot Loader
Specification, /etc/kernel/cmdline, and extlinux.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..files import GuestFiles, text_of, write_text

_GRUB = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg")
_LEGACY = ("/boot/grub/menu.lst", "/boot/grub/grub.conf", "/boot/extlinux/extlinux.conf")
_DEFAULTS = "/etc/default/grub"
_ENVIRONMENT = ("/boot/grub2/grubenv", "/boot/grub/grubenv")
_KERNEL_INSTALL = "/etc/kernel/cmdline"
_ENTRIES = ("/boot/loader/entries", "/efi/loader/entries", "/boot/efi/loader/entries")
_ESP = ("/boot/efi/EFI", "/efi/EFI", "/boot/EFI")
# GRUB's own: grub-editenv(1) gives the block 1,024 bytes, filled with "#".
_BLOCK = 1024

_KERNEL_LINE = re.compile(r"\s*(?:linux(?:16|efi)?|kernel|append|options)\s", re.IGNORECASE)
_SEARCH = re.compile(r"\s*search(?:\.(fs_uuid|fs_label))?\s(.*)")
# What the kernel, dracut, initramfs-tools and mkinitcpio take a device from; boot= is dracut's in
# FIPS mode (dracut.cmdline(7)), and no device but a word with Debian's live systems.
_KEYS = re.compile(
    r"(?:^|(?<=[\s\"'=]))"
    r"(root|resume|boot|rd\.lvm\.lv|rd\.luks\.uuid|rd\.luks\.name|cryptdevice)=([^\s\"']+)"
)
_LUKS_UUID = re.compile(r"(?:luks-)?([0-9a-fA-F-]{36})")


@dataclass(frozen=True)
class Reference:
    """A device that a file names.

    Attributes:
        path: The file.
        key: root, resume, …; "search" for GRUB's own.
        value: As it is written there.
        spec: The device that this means, in fstab's words.
    """

    path: str
    key: str
    value: str
    spec: str


def find_references(files: GuestFiles) -> tuple[Reference, ...]:
    """Return the devices that the boot loader and the command line name, each once a file."""
    found: dict[tuple[str, str, str], Reference] = {}
    for path in configuration_files(files):
        for reference in _in_file(path, text_of(files, path)):
            found.setdefault((path, reference.key, reference.value), reference)
    return tuple(found.values())


def configuration_files(files: GuestFiles) -> list[str]:
    """Return the boot loader's files that a guest has."""
    paths = [*_GRUB, *_LEGACY, _DEFAULTS, *_ENVIRONMENT, _KERNEL_INSTALL]
    for directory in _ENTRIES:
        names = files.list(directory)
        paths += [f"{directory}/{name}" for name in names if name.endswith(".conf")]
    for directory in _ESP:
        paths += [f"{directory}/{name}/grub.cfg" for name in files.list(directory)]
    # /boot/efi may be the same as /efi, but is then mounted at one of them.
    return [path for path in dict.fromkeys(paths) if files.is_file(path)]


def replaced(files: GuestFiles, reference: Reference, spec: str) -> tuple[str, str]:
    """Write *spec* where a file names a device; returns the lines before and after.

    They are the same where GRUB's environment block has no room for it.
    """
    text = text_of(files, reference.path)
    old, new = (f"{reference.key}={value}" for value in (reference.value, spec))
    pattern = re.compile(rf"(?:^|(?<=[\s\"'=])){re.escape(old)}(?=[\s\"']|$)", re.MULTILINE)
    changed = pattern.sub(lambda _match: new, text)
    before = [line for line in text.splitlines() if pattern.search(line)]
    after = [pattern.sub(lambda _match: new, line) for line in before]
    if reference.path in _ENVIRONMENT:
        changed = changed.rstrip("#")
        room = _BLOCK - len(changed.encode("utf-8", "surrogateescape"))
        if room < 0:
            return "\n".join(before), "\n".join(before)
        changed += "#" * room
    write_text(files, reference.path, changed)
    return "\n".join(before), "\n".join(after)


def _in_file(path: str, text: str) -> Iterator[Reference]:
    for line in _lines(path, text):
        for key, spec in _searched(line):
            yield Reference(path, "search", key, spec)
        last: dict[str, Reference] = {}
        repeated: list[Reference] = []
        for match in _KEYS.finditer(line):
            key, value = match.groups()
            if "$" in value:
                continue
            spec = _spec(key, value)
            if spec:
                reference = Reference(path, key, value, spec)
                # Of several the kernel and the initramfs take the last.
                if key in ("root", "resume"):
                    last[key] = reference
                else:
                    repeated.append(reference)
        yield from (*last.values(), *repeated)


def _lines(path: str, text: str) -> Sequence[str]:
    """Return the lines of a file that a device can be named in."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    if path == _DEFAULTS:
        return [line for line in lines if re.match(r"\s*GRUB_CMDLINE_LINUX", line)]
    if path in _ENVIRONMENT:
        return [line for line in lines if line.startswith("kernelopts=")]
    if path == _KERNEL_INSTALL:
        return lines
    return [line for line in lines if _KERNEL_LINE.match(line) or _SEARCH.match(line)]


def _searched(line: str) -> Iterator[tuple[str, str]]:
    match = _SEARCH.match(line)
    if not match:
        return
    form, rest = match.groups()
    words = [word.strip("\"'") for word in rest.split()]
    by_uuid = form == "fs_uuid" or "--fs-uuid" in words or "-u" in words
    by_label = form == "fs_label" or "--label" in words or "-l" in words
    # search [OPTIONS] NAME, or search.fs_uuid NAME VARIABLE HINTS
    names = [word for word in words if not word.startswith("-") and "$" not in word]
    if form:
        names = names[:1]
    elif "--set" in words and names and words.index(names[0]) == words.index("--set") + 1:
        names = names[1:]
    if names and by_uuid:
        yield names[-1], f"UUID={names[-1]}"
    elif names and by_label:
        yield names[-1], f"LABEL={names[-1]}"


def _spec(key: str, value: str) -> str:
    if key == "rd.lvm.lv":
        return f"/dev/{value}"
    if key in ("rd.luks.uuid", "rd.luks.name"):
        match = _LUKS_UUID.match(value)
        return f"UUID={match.group(1)}" if match else ""
    if key == "cryptdevice":
        return value.split(":")[0]
    return value
