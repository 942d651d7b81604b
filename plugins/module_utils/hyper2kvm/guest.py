# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the guest's room gets of a conversion: its disks, its programs, its manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..guest.appliance import Disk
from ..guest.network.keeping import injected_paths
from ..guest.session import GuestSession
from ..guest.storage import disk_name
from .disks import SourceDisk, boot_disk
from .environment import CACHE_VARIABLE, hyper2kvm_environment
from .images import QemuImg, driver
from .run import Workplace
from .working_copies import WorkingCopy


def guest_session(
    workplace: Workplace, document: dict[str, Any], macs: Mapping[str, str]
) -> GuestSession:
    """Return what starts libguestfs' appliance where hyper2kvm runs.

    Args:
        workplace: Where.
        document: The VM's manifest.
        macs: New MAC addresses by the NICs' ids, where they get such.
    """
    environment = hyper2kvm_environment(workplace.environment, kvm=workplace.kvm)
    return GuestSession(
        interpreter=workplace.installation.interpreter,
        directories=workplace.installation.directories,
        scratch=workplace.scratch,
        cache=Path(environment[CACHE_VARIABLE]),
        environment=environment,
        kvm=workplace.kvm,
        isolation=workplace.isolation,
        limits=workplace.limits,
        nics=document.get("nics", []),
        injected=sorted(injected_paths(document.get("configuration", {}))),
        macs=macs,
    )


def appliance_name(disks: tuple[SourceDisk, ...]) -> str:
    """Return what libguestfs' appliance calls the boot disk when it gets all of them."""
    return disk_name(disks.index(boot_disk(disks)))


def exported_disks(disks: Iterable[SourceDisk], qemu_img: QemuImg) -> list[Disk]:
    """Return the exported disks for a look that needs no working copies.

    Raises:
        ConversionError: One refers to other files, or qemu can't read it.
    """
    exported = []
    for disk in disks:
        qemu_img.virtual_size(disk.path, disk.format)
        exported.append(Disk(str(disk.path), driver(disk.format)))
    return exported


def examined_disks(copies: Iterable[WorkingCopy]) -> list[Disk]:
    """Return the working copies."""
    return [Disk(str(copied.path), "raw") for copied in copies]
