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
# Such firmware wants a machine that is set up for Secure Boot.
_UNWANTED_FEATURES = frozenset({"requires-smm", "enrolled-keys", "secure-boot"})


@dataclass(frozen=True)
class UefiFirmware:
    """A firmware's two parts and the format of each.

    Attributes:
        code: The program, read-only.
        variables: The template of its variable store, to be copied.
        code_format: raw or qcow2.
        variables_format: raw or qcow2.
    """

    code: Path
    variables: Path
    code_format: str = "raw"
    variables_format: str = "raw"


def find_uefi(
    directories: Iterable[Path] = _DESCRIPTIONS,
    known: Iterable[tuple[str, str]] = _KNOWN,
) -> UefiFirmware:
    """Return firmware for an x86-64 machine without Secure Boot.

    Raises:
        BootCheckError: None is installed.
    """
    for description in _descriptions(directories):
        firmware = _usable(description)
        if firmware is not None:
            return firmware
    for code, variables in known:
        if Path(code).is_file() and Path(variables).is_file():
            return UefiFirmware(Path(code), Path(variables))
    raise BootCheckError(
        "The machine needs UEFI, and there is no UEFI firmware for QEMU on this host.",
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
    if (
        "uefi" not in description.get("interface-types", [])
        or mapping.get("device") != "flash"
        or "x86_64" not in architectures
        or _UNWANTED_FEATURES & set(description.get("features", []))
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
    )
