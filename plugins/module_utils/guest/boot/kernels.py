# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernels that are installed in a guest, and what their initramfs hold."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..files import GuestFiles, text_of
from .initramfs import DecompressorMissing, list_files
from .modules import ModuleIndex, parse_index

_MODULE_ROOTS = ("/lib/modules", "/usr/lib/modules")
# Seconds for the guest's own program that lists an initramfs; emulated, it takes a while.
_LISTING_TIMEOUT = 300.0
# Bytes of an initramfs that are read.
_LARGEST = 1 << 30
_LISTERS = (
    ("/usr/bin/lsinitramfs", ("/usr/bin/lsinitramfs",)),
    ("/usr/bin/lsinitrd", ("/usr/bin/lsinitrd",)),
    ("/usr/bin/lsinitcpio", ("/usr/bin/lsinitcpio",)),
)
_LISTED_PATH = re.compile(r"(?:^|\s)((?:[\w.@+-]+/)*[\w.@+-]+)(?: -> .*)?$")


@dataclass(frozen=True)
class Kernel:
    """An installed kernel.

    Attributes:
        version: As uname -r says it.
        image: Path of the kernel.
        initramfs: Path of its initramfs, "" when it has none.
        modules: Directory of its modules.
    """

    version: str
    image: str
    initramfs: str
    modules: str


def find_kernels(files: GuestFiles) -> tuple[Kernel, ...]:
    """Return the kernels that a boot loader can load and that have modules, newest first.

    A directory of modules without a kernel is what a removed one left.
    """
    kernels: dict[str, Kernel] = {}
    for root in _MODULE_ROOTS:
        for version in files.list(root):
            modules = f"{root}/{version}"
            if version in kernels or not files.is_file(f"{modules}/modules.dep"):
                continue
            images = _places(files, version, modules, _IMAGES)
            image = next((path for path in images if files.is_file(path)), None)
            if image is not None:
                initramfs = _places(files, version, modules, _INITRAMFS)
                found = next((path for path in initramfs if files.is_file(path)), "")
                kernels[version] = Kernel(version, image, found, modules)
    newest_first = sorted(kernels, key=_version_key, reverse=True)
    return tuple(kernels[version] for version in newest_first)


_IMAGES = ("/boot/vmlinuz-{version}", "/boot/vmlinuz-{package}", "{entry}/linux")
_INITRAMFS = (
    "/boot/initrd.img-{version}",  # Debian, Ubuntu
    "/boot/initramfs-{version}.img",  # RHEL, Fedora
    "/boot/initrd-{version}",  # SUSE
    "/boot/initramfs-{package}.img",  # Arch
    "{entry}/initrd",  # kernel-install
)


def _places(
    files: GuestFiles, version: str, modules: str, patterns: tuple[str, ...]
) -> Iterator[str]:
    package = text_of(files, f"{modules}/pkgbase").strip()
    machine = text_of(files, "/etc/machine-id").strip()
    for pattern in patterns:
        if "{package}" in pattern and not package:
            continue
        if "{entry}" not in pattern:
            yield pattern.format(version=version, package=package)
        elif machine:
            for boot in ("/boot", "/efi", "/boot/efi"):
                yield pattern.format(entry=f"{boot}/{machine}/{version}")


def read_index(files: GuestFiles, kernel: Kernel) -> ModuleIndex:
    """Return which modules a kernel has."""
    return parse_index(
        dependencies=text_of(files, f"{kernel.modules}/modules.dep"),
        built_in=text_of(files, f"{kernel.modules}/modules.builtin"),
        soft_dependencies=text_of(files, f"{kernel.modules}/modules.softdep"),
        aliases=text_of(files, f"{kernel.modules}/modules.alias"),
    )


def initramfs_digests(files: GuestFiles) -> dict[str, str]:
    """Return the SHA-256, in hex, of every kernel's initramfs by its path."""
    paths = [kernel.initramfs for kernel in find_kernels(files) if kernel.initramfs]
    return {path: hashlib.sha256(files.read(path, _LARGEST)).hexdigest() for path in paths}


def read_initramfs(files: GuestFiles, kernel: Kernel) -> tuple[Mapping[str, int | None], str]:
    """Return the files in a kernel's initramfs, and its SHA-256 in hex.

    Each file's path leads to its size in bytes, or to None where only its name is known.

    Raises:
        InitramfsError: It can't be read, neither by us nor by the guest's own program.
    """
    if not kernel.initramfs:
        return {}, ""
    image = files.read(kernel.initramfs, _LARGEST)
    digest = hashlib.sha256(image).hexdigest()
    try:
        return list_files(image), digest
    except DecompressorMissing:
        listed = _ask_guest(files, kernel.initramfs)
        if listed is None:
            raise
        return listed, digest


def _ask_guest(files: GuestFiles, path: str) -> dict[str, None] | None:
    for program, argv in _LISTERS:
        if files.exists(program):
            status, output = files.run([*argv, path], _LISTING_TIMEOUT)
            if status == 0:
                found = (_LISTED_PATH.search(line) for line in output.splitlines())
                return {match.group(1): None for match in found if match}
    return None


def _version_key(version: str) -> list[tuple[int, str]]:
    return [
        (int(part), "") if part.isdigit() else (-1, part)
        for part in re.findall(r"\d+|[a-z]+", version.lower())
    ]
