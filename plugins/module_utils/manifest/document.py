# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read and write artifact-manifest.json: the one place that knows how the file looks."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from ..atomic import write_text
from .findings import ManifestError, errors_of
from .schema import SCHEMA
from .validating import validate

#: Name that hyperexport gives the file, in the VM's directory.
FILE_NAME = "artifact-manifest.json"

_REBUILD = "Build it anew with artifact_manifest."


def load(path: Path) -> dict[str, Any]:
    """Return the manifest at path, parsed and schema-valid.

    Raises:
        ManifestError: It is missing, not JSON or not valid; details hold all findings.
    """
    document = read(path)
    findings = validate(document)
    if errors_of(findings):
        raise ManifestError.of(path, findings)
    if not isinstance(document, dict):
        raise AssertionError("validate() finds an error in what is no object")
    return document


def read(path: Path) -> Any:
    """Return what the JSON file at path holds, valid or not.

    Raises:
        ManifestError: It is missing, can't be read, or is not JSON.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ManifestError(
            f"The manifest {path} does not exist.",
            action="Build it with artifact_manifest, or give the path of the one that hyperexport --manifest wrote.",
        ) from None
    except OSError as error:
        raise ManifestError(
            f"The manifest {path} can't be read: {error.strerror or error}."
        ) from error
    return parse(raw, path)


def parse(raw: bytes, path: Path) -> Any:
    """Return what the JSON text holds; path names it in errors.

    Stricter than Python's parser and hyper2kvm's loader, for which the last of
    two equal keys silently wins and NaN is a number.

    Raises:
        ManifestError: It is not JSON in UTF-8.
    """
    try:
        return json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique_keys, parse_constant=_no_constant
        )
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"The manifest {path} is not UTF-8 text: {error.reason} at byte {error.start}.",
            action=_REBUILD,
        ) from error
    except json.JSONDecodeError as error:
        raise ManifestError(
            f"The manifest {path} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
            action=_REBUILD,
        ) from error
    except (ValueError, RecursionError) as error:
        raise ManifestError(
            f"The manifest {path} is not JSON as the contract has it: {error}.", action=_REBUILD
        ) from error


def render(document: dict[str, Any]) -> str:
    """Return the document as text: fields in the schema's order, one a line.

    The same document always gives the same text, so that a difference between
    two texts is one between two manifests.
    """
    return (
        json.dumps(ordered(document, SCHEMA), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    )


def write(path: Path, text: str, *, private: bool) -> bool:
    """Write a manifest's text to path, whole or not at all.

    The file keeps its permissions; a new one gets those of the umask.

    Args:
        path: The file.
        text: A valid manifest, as render() has it.
        private: Whether only the file's owner may read it: it holds what may log in to the guest.

    Returns:
        True when the file changed.

    Raises:
        ManifestError: The file can't be written.
    """
    try:
        if path.exists() and path.read_bytes() == text.encode("utf-8"):
            return False
        write_text(path, text, _mode(path, private))
    except OSError as error:
        raise ManifestError(
            f"The manifest {path} can't be written: {error.strerror or error}.",
            action="Make sure that its directory exists and is writable.",
        ) from error
    return True


def secrets_of(document: Any) -> list[str]:
    """Return what must not be shown: the password hashes of configuration.users."""
    found: Any = document
    for key in ("configuration", "users", "users"):
        found = found.get(key) if isinstance(found, dict) else None
    users = found if isinstance(found, list) else []
    values = [
        user.get(key)
        for user in users
        if isinstance(user, dict)
        for key in ("password_hash", "password")
    ]
    return [value for value in values if isinstance(value, str) and value]


def ordered(value: Any, schema: dict[str, Any]) -> Any:
    """Return the value with its objects' keys in the schema's order, other keys after them by name."""
    if isinstance(value, dict):
        known = schema.get("properties", {})
        names = [name for name in known if name in value]
        if len(names) < len(value):
            names += sorted(name for name in value if name not in known)
        rest = schema.get("additionalProperties")
        other = rest if isinstance(rest, dict) else {}
        return {
            # Most values are plain, and there may be thousands.
            name: ordered(member, known.get(name, other))
            if isinstance(member := value[name], (dict, list))
            else member
            for name in names
        }
    if isinstance(value, list):
        items = schema.get("items", {})
        return [ordered(item, items) for item in value]
    return value


def _mode(path: Path, private: bool) -> int | None:
    """Return the permissions to write the file with: those that it has, without the others' where it is private."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0o600 if private else None
    return mode & 0o700 if private else mode


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys: set[str] = set()
    for key, _value in pairs:
        if key in keys:
            raise ValueError(f"the key {key!r} stands twice in one object")
        keys.add(key)
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a value of JSON")
