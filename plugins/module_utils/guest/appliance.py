# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest's disks in libguestfs' appliance: its volumes, its system, its filesystems mounted.

Runs inside the sandbox. All names of devices here are the appliance's, where the disks are
/dev/sda, /dev/sdb, … in the VM's order.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ..errors import Hyper2KvmError
from .appliance_files import GuestfsFiles
from .files import text_of
from .fstab import FSTAB, Mount, parse_fstab
from .repair import ERROR, WARNING, Finding
from .storage import Storage, Volume, device_of
from .subvolumes import mount, named_for_good, subvolume

try:
    import guestfs
except ImportError:  # Only the Python of the conversion host's venv has it.
    guestfs = None

# MiB; a guest's initramfs tools run in there, and the default is small for zstd at level 19.
_MEMORY = 1280
_PREFIX = "/sysroot"
# What a boot and its repair need. The rest may be large, and stays untouched: a data disk is
# later held against the exported one.
SYSTEM_PLACES = ("/boot", "/boot/efi", "/efi", "/usr", "/var", "/var/lib", "/var/tmp", "/etc")  # noqa: S108 - the guest's


class ApplianceError(Hyper2KvmError):
    """The guest's disks can't be looked at."""


@dataclass(frozen=True)
class Disk:
    """One disk of the VM: the image's path and qemu's name of its format."""

    path: str
    format: str


@dataclass(frozen=True)
class System:
    """The guest's operating system.

    Attributes:
        type: linux, windows, or what else libguestfs knows; "" when none was found.
        root: What its root is on: a device, or libguestfs' "btrfsvol:DEVICE/SUBVOLUME".
        name: Its name and version for people.
        distribution: libguestfs' or os-release's short name.
        version: Its version.
        architecture: x86_64, aarch64, …
    """

    type: str = ""
    root: str = ""
    name: str = ""
    distribution: str = ""
    version: str = ""
    architecture: str = ""

    @property
    def root_device(self) -> str:
        """The device that the root is on, without a subvolume."""
        return device_of(self.root)


@contextmanager
def started(disks: Sequence[Disk], *, writable: Collection[str]) -> Iterator[Any]:
    """Start the appliance with *disks* and yield the handle (guestfs.GuestFS).

    Args:
        disks: The VM's disks in its order.
        writable: Paths of those that what is written shall reach; the others take it for the
            time of the appliance only.

    Raises:
        ApplianceError: It does not start, or could not write all that it was given.
    """
    if guestfs is None:
        raise ApplianceError("This Python has no module guestfs.")
    handle = guestfs.GuestFS(python_return_dict=True)
    try:
        try:
            if "LIBGUESTFS_MEMSIZE" not in os.environ:
                handle.set_memsize(max(_MEMORY, handle.get_memsize()))
            handle.set_network(False)
            for disk in disks:
                readonly = disk.path not in writable
                handle.add_drive_opts(disk.path, format=disk.format, readonly=readonly)
            handle.launch()
        except RuntimeError as error:
            raise ApplianceError(
                f"libguestfs' appliance does not start with the VM's disks: {error}.",
                action="See whether conversion_host_info finds libguestfs working, with"
                " start_appliance.",
            ) from error
        yield handle
        if writable:
            try:
                handle.umount_all()
                handle.shutdown()
            except RuntimeError as error:
                raise ApplianceError(
                    f"The repaired disks could not be written: {error}."
                ) from error
    finally:
        handle.close()


def read_storage(handle: Any) -> Storage:
    """Return all volumes on the disks of an appliance."""
    names = [*handle.list_devices(), *handle.list_partitions()]
    names += [*handle.lvs(), *handle.list_md_devices()]
    return Storage(tuple(_volume(handle, name) for name in names))


def _volume(handle: Any, name: str) -> Volume:
    try:
        known: dict[str, str] = handle.blkid(name)
    except RuntimeError:
        return Volume(name)  # nothing that blkid knows is on it
    kind = known.get("TYPE", "")
    last_mounted = ""
    if kind in ("ext2", "ext3", "ext4"):
        try:
            last_mounted = handle.tune2fs_l(name).get("Last mounted on", "")
        except RuntimeError:
            pass
        last_mounted = "" if last_mounted == "<not available>" else last_mounted
        if last_mounted.startswith(_PREFIX):  # by libguestfs
            last_mounted = last_mounted[len(_PREFIX) :] or "/"
    return Volume(
        name=name,
        type=kind,
        uuid=known.get("UUID", ""),
        label=known.get("LABEL", ""),
        part_uuid=known.get("PART_ENTRY_UUID", ""),
        part_label=known.get("PART_ENTRY_NAME", ""),
        part_type=known.get("PART_ENTRY_TYPE", ""),
        last_mounted=last_mounted,
    )


def find_system(handle: Any, storage: Storage) -> System:
    """Return the guest's operating system, by libguestfs' inspection, or else by looking.

    Of several (old roots, snapshots) one counts that its own fstab has for the root: a snapshot
    of it names the subvolume that it was made of. Then the one on the first disk counts, as
    hyper2kvm has it.
    """
    try:
        roots: list[str] = handle.inspect_os()
    except RuntimeError:
        roots = []

    def rank(root: str) -> tuple[bool, bool, str]:
        return (not _names_itself(handle, root), _is_snapshot(root), device_of(root))

    for root in sorted(roots, key=rank):
        kind = handle.inspect_get_type(root)
        if kind in ("linux", "windows"):
            version = f"{handle.inspect_get_major_version(root)}"
            version += f".{handle.inspect_get_minor_version(root)}"
            return System(
                type=kind,
                root=named_for_good(handle, root, storage),
                name=handle.inspect_get_product_name(root),
                distribution=handle.inspect_get_distro(root),
                version=version,
                architecture=handle.inspect_get_arch(root),
            )
    return _look_for_system(handle, storage)


def _names_itself(handle: Any, root: str) -> bool:
    mounts: dict[str, str] = handle.inspect_get_mountpoints(root)
    # fstab may have subvol=/@ as well as subvol=@.
    return mounts.get("/", "").replace("//", "/") == root.replace("//", "/")


def _is_snapshot(root: str) -> bool:
    return root.startswith("btrfsvol:") and ("snapshot" in root or root.count("@") > 1)


def _look_for_system(handle: Any, storage: Storage) -> System:
    for name, kind in handle.list_filesystems().items():
        mountable = named_for_good(handle, name, storage)
        if (
            kind in ("swap", "unknown", "crypto_LUKS")
            or storage.named(device_of(mountable)) is None
        ):
            continue
        try:
            mount(handle, mountable, "/", readonly=True)
            release = _os_release(handle)
        except RuntimeError:
            continue
        finally:
            handle.umount_all()
        if release:
            return System(
                type="linux",
                root=mountable,
                name=release.get("PRETTY_NAME", release.get("NAME", "Linux")),
                distribution=release.get("ID", "unknown"),
                version=release.get("VERSION_ID", ""),
            )
    return System()


def with_own_name(handle: Any, system: System) -> System:
    """Return *system* with the name that it gives itself; its root is mounted.

    libguestfs has only "12.15" for a Debian.
    """
    name = _os_release(handle).get("PRETTY_NAME", "")
    return replace(system, name=name) if name else system


def _os_release(handle: Any) -> dict[str, str]:
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        if handle.is_file(path, followsymlinks=True):
            lines = [line.partition("=") for line in handle.read_lines(path)]
            return {key: value.strip("\"'") for key, separator, value in lines if separator}
    return {}


def mount_guest(
    handle: Any, system: System, storage: Storage, *, readonly: bool, fstab: str | None = None
) -> tuple[list[Finding], dict[str, str]]:
    """Mount the root and what fstab names for SYSTEM_PLACES.

    Args:
        handle: The appliance.
        system: The guest's operating system.
        storage: Its volumes.
        readonly: Whether nothing may be written.
        fstab: The fstab that counts, where it is not the one on the disks: FIX may have given
            /var another filesystem's UUID.

    Returns:
        What could not be mounted, and for each mount point the device (or "btrfsvol:…").

    Raises:
        ApplianceError: The root itself can't be mounted.
    """
    try:
        mount(handle, system.root, "/", readonly=readonly)
    except RuntimeError as error:
        kind = _type_of(storage, system.root_device)
        raise ApplianceError(
            f"The guest's root on {system.root} ({kind}) can't be mounted: {error}.",
            action="On Debian and Ubuntu, XFS needs the package libguestfs-xfs on the conversion"
            " host."
            if kind == "xfs"
            else "Have the guest check its filesystems before the export.",
        ) from error
    findings: list[Finding] = []
    mounted = {"/": system.root}
    if system.type == "windows":
        return findings, mounted
    if fstab is None:
        fstab = text_of(GuestfsFiles(handle), FSTAB)
    for entry in sorted(parse_fstab(fstab), key=lambda entry: entry.mount_point.count("/")):
        mountable = _mountable(entry, storage) if entry.mount_point in SYSTEM_PLACES else None
        if mountable is None or not handle.is_dir(entry.mount_point, followsymlinks=False):
            continue
        try:
            mount(handle, mountable, entry.mount_point, readonly=readonly)
            mounted[entry.mount_point] = mountable
        except RuntimeError as error:
            findings.append(
                Finding(
                    WARNING if entry.is_optional else ERROR,
                    FSTAB,
                    f"{entry.spec}, which the guest mounts on {entry.mount_point}, can't be"
                    f" mounted ({entry.type}): {error}.",
                    "Have the guest check that filesystem before the export; libguestfs on the"
                    " conversion host must know its type.",
                )
            )
    _mount_esp(handle, storage, mounted, readonly)
    return findings, mounted


def _mount_esp(handle: Any, storage: Storage, mounted: dict[str, str], readonly: bool) -> None:
    """Mount the EFI system partition that fstab leaves to systemd's automount."""
    if "/boot/efi" in mounted or "/efi" in mounted:
        return
    esp = next((volume.name for volume in storage.volumes if volume.is_esp), None)
    if esp is None or esp in mounted.values():
        return
    for place in ("/boot/efi", "/efi"):
        if handle.is_dir(place, followsymlinks=False):
            try:
                mount(handle, esp, place, readonly=readonly)
            except RuntimeError:
                continue  # What is missing then is found by who looks for the boot loader.
            mounted[place] = esp
            return


def _mountable(entry: Mount, storage: Storage) -> str | None:
    if not entry.is_mounted or "bind" in entry.options:
        return None
    match = storage.find(entry.spec, mount_point=entry.mount_point, fs_type=entry.type)
    if match.volume is None or match.volume.type in ("", "swap", "crypto_LUKS", "LVM2_member"):
        return None
    for option in entry.options:
        name, separator, value = option.partition("=")
        if name == "subvol" and separator and match.volume.type == "btrfs":
            return subvolume(match.volume.name, value.lstrip("/"))
    return match.volume.name


def _type_of(storage: Storage, device: str) -> str:
    volume = storage.named(device)
    return volume.type if volume is not None and volume.type else "of unknown type"
