# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""hyperexport's export profiles: its JSON files, unchanged, and this collection's own.

hyperexport (cmd/hyperexport/profiles.go) writes every key, also those that were
never set, with Go's zero values. So a zero value of something that has no
meaning here is no reason to refuse a file; any other value is, because an
export that is silently not encrypted or not uploaded is worse than none. A
false counts as said: nothing tells it from one that was never set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .findings import ManifestError, shown

#: Keys that mean something here, with their types and the option that they set.
SETTINGS: Mapping[str, tuple[type, str]] = MappingProxyType(
    {
        "format": (str, "format"),
        "compress": (bool, "compress"),
        "verify": (bool, "verify"),
        "power_off": (bool, "power_off"),
        "parallel": (int, "parallel"),
        "generate_manifest": (bool, "manifest"),
        "verify_manifest": (bool, "verify_manifest"),
        "manifest_checksum": (bool, "manifest_checksum"),
        "manifest_target_format": (str, "manifest_target"),
        "hyper2kvm_binary": (str, "executable"),
        "tags": (dict, "tags"),
    }
)
_ABOUT = ("name", "description", "created", "modified")
#: hyperexport's own keys without a counterpart, with what to use instead.
_ELSEWHERE = MappingProxyType(
    {
        "auto_convert": "the playbook or entry point says whether it converts",
        "cleanup_ovf": "an OVA is written in one go here, without files to clean up",
        "upload_to": "add a task that uploads the directory",
        "keep_local": "add a task that removes the directory",
        "encrypt": "add a task that encrypts the directory",
        "encrypt_method": "add a task that encrypts the directory",
        "gpg_recipient": "add a task that encrypts the directory",
        "validate_only": "use vsphere_export_info",
        "stream_conversion": "progress is always shown",
        "retention_days": "add a task that removes old directories",
        "retention_count": "add a task that removes old directories",
        "notify_email": "use AWX's notifications, or add a task",
        "notify_slack": "use AWX's notifications, or add a task",
        "notify_discord": "use AWX's notifications, or add a task",
    }
)
#: Neither of these changes what is exported, whatever their value.
_HARMLESS = ("auto_convert", "cleanup_ovf", "keep_local", "stream_conversion", "encrypt_method")
_CHOICES = MappingProxyType(
    {"format": ("ovf", "ova"), "manifest_target_format": ("qcow2", "raw", "vdi")}
)

#: The collection's own profiles, in hyperexport's form.
OWN: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "quick": {
            "name": "quick",
            "description": "A quick look: no manifest verification after the export, no checksums to compute again.",
            "format": "ovf",
            "compress": False,
            "verify": False,
            "power_off": False,
            "parallel": 4,
            "generate_manifest": True,
            "verify_manifest": False,
            "manifest_checksum": True,
            "manifest_target_format": "qcow2",
        },
        "kvm-migration": {
            "name": "kvm-migration",
            "description": "The whole way to KVM: shut down, export, verify, convert to qcow2.",
            "format": "ovf",
            "compress": False,
            "verify": True,
            "power_off": True,
            "parallel": 4,
            "generate_manifest": True,
            "verify_manifest": True,
            "manifest_checksum": True,
            "manifest_target_format": "qcow2",
        },
        "archive": {
            "name": "archive",
            "description": "One OVA to keep, verified, and not converted.",
            "format": "ova",
            "compress": False,
            "verify": True,
            "power_off": True,
            "parallel": 2,
            "generate_manifest": False,
        },
    }
)


@dataclass(frozen=True)
class Profile:
    """A profile.

    Attributes:
        name: Its name.
        description: What it is for.
        source: The file that it was read from, or "the collection's own".
        settings: The options that it sets, by the options' names.
    """

    name: str
    description: str
    source: str
    settings: Mapping[str, Any]


def find_profile(name: str, directories: Sequence[Path]) -> Profile:
    """Return a profile by its name, or by its file's path if there is a slash in it.

    Args:
        name: The profile's name, as in <name>.json.
        directories: Where to look, in order, before the collection's own.

    Raises:
        ManifestError: There is none, or it is not valid.
    """
    if "/" in name:
        path = Path(name).expanduser()
        if not path.is_file():
            raise ManifestError(f"The profile {name} does not exist.", action="Correct its path.")
        return load_profile(path)
    for directory in directories:
        path = directory.expanduser() / f"{name}.json"
        if path.is_file():
            return load_profile(path)
    if name in OWN:
        return _profile(OWN[name], "the collection's own", name)
    raise ManifestError(
        f"There is no profile {name}: not in {', '.join(map(str, directories)) or 'any directory'},"
        " nor among the collection's own.",
        action=f"Write {name}.json, or name one of {', '.join(OWN)}.",
    )


def load_profile(path: Path) -> Profile:
    """Return the profile in a file of hyperexport's.

    Raises:
        ManifestError: It can't be read, or is not valid.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(
            f"The profile {path} can't be read: {error.strerror or error}."
        ) from error
    except ValueError as error:
        raise ManifestError(f"The profile {path} is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise ManifestError(f"The profile {path} is not a JSON object.")
    return _profile(content, str(path), path.stem)


def _profile(content: Mapping[str, Any], source: str, fallback_name: str) -> Profile:
    unknown = [
        key
        for key in content
        if key not in SETTINGS and key not in _ABOUT and key not in _ELSEWHERE
    ]
    if unknown:
        raise ManifestError(
            f"The profile {source} has unknown keys: {', '.join(sorted(unknown))}.",
            action=f"Correct or remove them; known are {', '.join([*_ABOUT[:2], *SETTINGS])}.",
        )
    for key, instead in _ELSEWHERE.items():
        if content.get(key) and key not in _HARMLESS:
            raise ManifestError(
                f"The profile {source} sets {key}, which is hyperexport's alone.",
                action=f"Remove it: {instead}.",
            )
    settings: dict[str, Any] = {}
    for key, (kind, option) in SETTINGS.items():
        value = content.get(key)
        if value is None:
            continue
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ManifestError(
                f"The profile {source} has {key}: {shown(value)}, which is not {_kind_words(kind)}."
            )
        # Go's zero values of a number, a string and a map stand for what was not set.
        if not value and kind is not bool:
            continue
        if key in _CHOICES and value not in _CHOICES[key]:
            raise ManifestError(
                f"The profile {source} has {key}: {shown(value)},"
                f" which is not one of {', '.join(_CHOICES[key])}."
            )
        settings[option] = value
    return Profile(
        name=str(content.get("name") or fallback_name),
        description=str(content.get("description") or ""),
        source=source,
        settings=settings,
    )


def _kind_words(kind: type) -> str:
    return {str: "a string", bool: "true or false", int: "a whole number"}.get(kind, "an object")
