# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""UEFI firmware for QEMU on this host.

Distributions describe theirs in JSON files, as docs/interop/firmware.json of
QEMU has it; the directories below, and that the first file by name is the
preferred one, are from there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import BootCheckError

_DESCRIPTIONS = (Path("/etc/qemu/firmware"), Path("/usr/share/qemu/firmware"))
# Where nothing is described: Debian and Ubuntu, then RHEL and Fedora.
_KNOWN = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
)
# The same with Microsoft's keys enrolled, which is what makes Secure Boot check anything.
_KNOWN_SECURE = (
    ("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"),
    ("/usr/share/OVMF/OVMF_CODE.secboot.fd", "/usr/share/OVMF/OVMF_VARS.ms.fd"),
    (
        "/usr/share/edk2/ovmf/OVMF_CODE_4M.secboot.qcow2",
        "/usr/share/edk2/ovmf/OVMF_VARS_4M.secboot.qcow2",
    ),
    ("/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd"),
)
_ENROLLED = frozenset({"secure-boot", "enrolled-keys"})


@dataclass(frozen=True)
class UefiFirmware:
    """A firmware's two parts and the format of each.

    Attributes:
        code: The program, read-only.
        variables: The template of its variable store, to be copied.
        code_format: raw or qcow2.
        variables_format: raw or qcow2.
        smm: Whether it wants System Management Mode, which guards its variables; q35 has it.
        secure_boot: Whether it refuses what is not signed by an enrolled key.
    """

    code: Path
    variables: Path
    code_format: str = "raw"
    variables_format: str = "raw"
    smm: bool = False
    secure_boot: bool = False


def find_uefi(
    directories: Iterable[Path] = _DESCRIPTIONS,
    known: Iterable[tuple[str, str]] | None = None,
    *,
    secure_boot: bool = False,
) -> UefiFirmware:
    """Return firmware for an x86-64 machine.

    Args:
        directories: Where firmware is described; a file in an earlier one hides
            those of the same name in later ones.
        known: Pairs of files to look for when none is described.
        secure_boot: Whether it has to enforce Secure Boot. Without, one that needs no
            SMM comes first, and one without keys is good enough: it enforces nothing.

    Raises:
        BootCheckError: None is installed.
    """
    described = [
        firmware
        for firmware in map(_usable, _descriptions(directories))
        if firmware is not None and firmware.secure_boot == secure_boot
    ]
    if described:
        # sorted() keeps the distribution's order among equals.
        return sorted(described, key=lambda firmware: firmware.smm and not secure_boot)[0]
    if known is None:
        known = _KNOWN_SECURE if secure_boot else _KNOWN
    for code, variables in known:
        if Path(code).is_file() and Path(variables).is_file():
            image_format = "qcow2" if code.endswith(".qcow2") else "raw"
            return UefiFirmware(
                Path(code), Path(variables), image_format, image_format, secure_boot, secure_boot
            )
    wanted = "UEFI with Secure Boot" if secure_boot else "UEFI"
    lacking = "with enrolled keys " if secure_boot else ""
    raise BootCheckError(
        f"The machine needs {wanted}, and there is no UEFI firmware {lacking}for QEMU on this host.",
        action="Install the package ovmf (Debian, Ubuntu) or edk2-ovmf (RHEL, Fedora).",
    )


def _descriptions(directories: Iterable[Path]) -> Iterator[dict[str, Any]]:
    files: dict[str, Path] = {}
    for directory in directories:
        if directory.is_dir():
            for path in directory.glob("*.json"):
                # A file in /etc hides the one of the same name in /usr.
                files.setdefault(path.name, path)
    for _name, path in sorted(files.items()):
        try:
            description = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # An empty file is how an administrator switches one off.
        if isinstance(description, dict):
            yield description


def _usable(description: dict[str, Any]) -> UefiFirmware | None:
    mapping = description.get("mapping", {})
    architectures = {target.get("architecture") for target in description.get("targets", [])}
    features = set(description.get("features", []))
    enrolled = features >= _ENROLLED
    if (
        "uefi" not in description.get("interface-types", [])
        or mapping.get("device") != "flash"
        or "x86_64" not in architectures
        # Keys of a distribution's own tests, with no Secure Boot to use them.
        or ("enrolled-keys" in features and not enrolled)
        or "nvram-template" not in mapping
    ):
        return None
    code, variables = mapping["executable"], mapping["nvram-template"]
    if not Path(code["filename"]).is_file() or not Path(variables["filename"]).is_file():
        return None
    return UefiFirmware(
        Path(code["filename"]),
        Path(variables["filename"]),
        code.get("format", "raw"),
        variables.get("format", "raw"),
        smm="requires-smm" in features,
        secure_boot=enrolled,
    )
