# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether UEFI firmware that knows nothing of the guest finds a boot loader.

A VM's boot entries are in the NVRAM that stays behind; without one, firmware starts
\\EFI\\BOOT\\BOOTX64.EFI of the EFI system partition (UEFI specification, 3.5.1.1).
"""

from __future__ import annotations

from ..files import GuestFiles
from ..repair import ERROR, OR_REPAIR, Finding, Repair

_PLACES = ("/boot/efi", "/efi", "/boot")
# By architecture as libguestfs names it: the fall-back's name, and the suffix of the others.
_ARCHITECTURES = {
    "x86_64": ("BOOTX64.EFI", "x64"),
    "aarch64": ("BOOTAA64.EFI", "aa64"),
    "i386": ("BOOTIA32.EFI", "ia32"),
}
# In this order. openSUSE and SLES give shim and what it starts names without an architecture.
_LOADERS = (
    *("shim{suffix}.efi", "shim.efi", "grub{suffix}.efi", "grub.efi"),
    "systemd-boot{suffix}.efi",
)
# What is looked for beside the loader: by shim what it starts next, by GRUB its configuration.
_BESIDE_GRUB = ("grub.cfg",)
_BESIDE_SHIM = (
    *("grub{suffix}.efi", "grub.efi", "mm{suffix}.efi", "MokManager.efi"),
    *_BESIDE_GRUB,
)
_BESIDE = {"shim": _BESIDE_SHIM, "grub": _BESIDE_GRUB}
_NOT_A_DISTRIBUTION = ("boot",)


def find_esp(files: GuestFiles, mounted: frozenset[str]) -> str | None:
    """Return where the EFI system partition is mounted, None when it is not."""
    for place in _PLACES:
        if place in mounted and _inside(files, place, "EFI") is not None:
            return place
    return None


def find_fallback(files: GuestFiles, esp: str, architecture: str) -> str | None:
    """Return the path of the fall-back loader, None when there is none."""
    name, _suffix = _ARCHITECTURES.get(architecture, _ARCHITECTURES["x86_64"])
    return _inside(files, esp, "EFI", "BOOT", name)


def fallback_finding(files: GuestFiles, esp: str | None, architecture: str) -> Finding | None:
    """Return what is wrong with a UEFI guest's boot loader, None when nothing is."""
    if esp is None:
        return Finding(
            ERROR,
            "/boot/efi",
            "The VM's firmware is UEFI, and no EFI system partition of the guest's was found.",
            "Export all disks of the VM; have the guest mount it on /boot/efi.",
        )
    if find_fallback(files, esp, architecture) is not None:
        return None
    name, _suffix = _ARCHITECTURES.get(architecture, _ARCHITECTURES["x86_64"])
    return Finding(
        ERROR,
        f"{esp}/EFI/BOOT/{name}",
        f"The EFI system partition has no \\EFI\\BOOT\\{name}, and the boot entries that name"
        " another loader stay behind with the VM's NVRAM.",
        f"Install the guest's boot loader as removable (grub-install --removable){OR_REPAIR}.",
    )


def add_fallback(files: GuestFiles, esp: str, architecture: str) -> list[Repair]:
    """Copy the distribution's loader to where firmware looks; nothing when there is none."""
    name, suffix = _ARCHITECTURES.get(architecture, _ARCHITECTURES["x86_64"])
    loader = _distribution_loader(files, esp, suffix)
    if loader is None:
        return []
    directory = _inside(files, esp, "EFI", "BOOT") or f"{esp}/EFI/BOOT"
    repairs = [_copy(files, loader, f"{directory}/{name}")]
    source, _slash, program = loader.rpartition("/")
    for pattern in _BESIDE.get(program[:4].lower(), ()):
        target = pattern.format(suffix=suffix)
        beside = _inside(files, source, target)
        if beside is not None and _inside(files, directory, target) is None:
            repairs.append(_copy(files, beside, f"{directory}/{target}"))
    return repairs


def _distribution_loader(files: GuestFiles, esp: str, suffix: str) -> str | None:
    base = _inside(files, esp, "EFI")
    if base is None:
        return None
    vendors = [name for name in files.list(base) if name.lower() not in _NOT_A_DISTRIBUTION]
    for pattern in _LOADERS:
        for vendor in vendors:
            found = _inside(files, base, vendor, pattern.format(suffix=suffix))
            if found is not None:
                return found
    return None


def _copy(files: GuestFiles, source: str, target: str) -> Repair:
    files.write(target, files.read(source))
    return Repair(f"Copied {source} to where firmware without boot entries looks", target)


def _inside(files: GuestFiles, place: str, *names: str) -> str | None:
    """Return a path below *place*, its parts found whatever their case: FAT has none."""
    for wanted in names:
        found = next((n for n in files.list(place) if n.lower() == wanted.lower()), None)
        if found is None:
            return None
        place = f"{place}/{found}"
    return place
