# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a kernel needs to find its root on KVM's virtio, and what of it is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..layers import Layers
from .kernels import Kernel
from .modules import ModuleIndex, module_name

BUILT_IN = "built in"
IN_INITRAMFS = "initramfs"
ON_DISK = "on disk only"
UNAVAILABLE = "unavailable"

# Shown in the result, whether they are needed to boot or not.
SHOWN = ("virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net")
_DISKS = (
    ("virtio_pci", "the bus that KVM's virtio devices are on"),
    ("virtio_blk", "virtio disks"),
)
# Only where the domain is given a virtio SCSI controller; a kernel without them boots all the same.
_SCSI = (
    ("virtio_scsi", "disks on a virtio SCSI controller"),
    ("sd_mod", "disks on a virtio SCSI controller"),
)
# A program that may stand for another in an initramfs.
_INSTEAD = {"cryptsetup": ("cryptsetup", "systemd-cryptsetup")}

# What of udev names NICs, as its packages put it into an initramfs.
_NAMES_NICS = (
    "rules.d/80-net-setup-link.rules",
    "rules.d/80-net-name-slot.rules",
    "rules.d/70-persistent-net.rules",
)


@dataclass(frozen=True)
class Lack:
    """A module or program that is not in an initramfs; `why` says what needs it."""

    name: str
    why: str


@dataclass(frozen=True)
class KernelState:
    """What a kernel and its initramfs hold of what a boot on virtio needs.

    Attributes:
        version: As uname -r says it.
        initramfs: Path of its initramfs, "" when it has none.
        drivers: For each of the modules in SHOWN: "built in", "initramfs", "on disk only" or
            "unavailable" (the kernel has no such module).
        needed: Modules that have to be in its initramfs.
        missing: Those of them that are not.
        unavailable: Modules that the kernel itself lacks.
        programs: Programs that the initramfs lacks.
        carried: The paths of configuration files of the guest's that the initramfs holds copies of.
        digest: SHA-256 of the initramfs, in hex.
        names_nics: Whether udev gives NICs their names in the initramfs already.
    """

    version: str
    initramfs: str
    drivers: dict[str, str]
    needed: tuple[str, ...] = ()
    missing: tuple[Lack, ...] = ()
    unavailable: tuple[Lack, ...] = ()
    programs: tuple[Lack, ...] = ()
    carried: frozenset[str] = frozenset()
    digest: str = ""
    names_nics: bool = False

    @property
    def boots(self) -> bool:
        """Whether nothing is missing."""
        return not (self.missing or self.unavailable or self.programs)


def judge(
    kernel: Kernel,
    index: ModuleIndex,
    files: Mapping[str, int | None],
    *,
    filesystems: Sequence[tuple[str, str]],
    layers: Layers,
) -> KernelState:
    """Return what a kernel lacks.

    Args:
        kernel: Which.
        index: Its modules.
        files: The paths of the files in its initramfs, with their sizes where they are known.
        filesystems: What is mounted from the initramfs: mount point and type.
        layers: What these stand on.
    """
    present = {name for name in map(module_name, files) if name is not None}
    wanted: dict[str, Lack] = {}
    unavailable: list[Lack] = []
    for module, why, required in _needs(index, filesystems, layers):
        if not index.has(module):
            if required:
                unavailable.append(Lack(module, why))
            continue
        for needed in index.closure(module):
            text = why if needed == module else f"{module} needs it, for {why}"
            wanted.setdefault(needed, Lack(needed, text))
    programs = {path.rsplit("/", 1)[-1] for path in files}
    return KernelState(
        version=kernel.version,
        initramfs=kernel.initramfs,
        drivers={module: _where(module, index, present) for module in SHOWN},
        needed=tuple(wanted),
        missing=tuple(lack for lack in wanted.values() if lack.name not in present),
        unavailable=tuple(unavailable),
        programs=tuple(
            Lack(program, f"the root filesystem stands on what {program} sets up")
            for program in layers.programs
            if not programs & set(_INSTEAD.get(program, (program,)))
        ),
        # initramfs-tools makes an empty etc/fstab, which is a copy of nothing.
        carried=frozenset(
            f"/{p}" for p, size in files.items() if p.startswith("etc/") and size != 0
        ),
        names_nics=any(path.endswith(_NAMES_NICS) for path in files),
    )


def _needs(
    index: ModuleIndex, filesystems: Sequence[tuple[str, str]], layers: Layers
) -> list[tuple[str, str, bool]]:
    needs = [(module, why, True) for module, why in _DISKS]
    needs += [(module, why, False) for module, why in _SCSI]
    for place, kind in filesystems:
        module = kind
        # One module serves all three where the kernel is built so.
        if kind in ("ext2", "ext3") and not index.has(kind):
            module = "ext4"
        needs.append((module, f"the filesystem mounted on {place}", True))
    needs += [(module, "what the root filesystem stands on", True) for module in layers.modules]
    return needs


def _where(module: str, index: ModuleIndex, present: set[str]) -> str:
    if module in index.built_in:
        return BUILT_IN
    if module in present:
        return IN_INITRAMFS
    return ON_DISK if index.has(module) else UNAVAILABLE
