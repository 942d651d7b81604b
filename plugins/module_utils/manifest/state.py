# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring a manifest's file to the state that is asked for: look, stage, apply."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .building import defaults, describe, merged, timestamp
from .checksums import Progress, sha256_files
from .document import ordered, parse, render, secrets_of, write
from .findings import Finding, ManifestError, errors_of
from .model import Artifacts, Disk
from .schema import SCHEMA
from .validating import validate

#: What the source determines; a manifest that is merged keeps the rest of its fields.
_FROM_SOURCE = ("manifest_version", "source", "vm", "disks", "nics")


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        path: The manifest's file.
        artifacts: The VM and its disks; None to change a manifest that is there.
        settings: The contract's fields that the user sets.
        merge: Keep what the file says where the user sets nothing.
        checksum: Write each disk's SHA-256, computing those that aren't known.
        boot_disk: Id of the disk that boots, where the user says it.
        backup: Keep a copy of a file that is changed or removed.
        check_mode: Change nothing, and accept disks that aren't there yet.
        unpacked: Whether files were unpacked, or would be, to build it from.
    """

    path: Path
    artifacts: Artifacts | None
    settings: Mapping[str, Any]
    merge: bool = False
    checksum: bool = True
    boot_disk: str = ""
    backup: bool = False
    check_mode: bool = False
    unpacked: bool = False


@dataclass(frozen=True)
class Outcome:
    """What was done, or would be in check mode.

    Attributes:
        changed: Whether the file changed.
        document: The manifest; None when it was removed.
        before: The file's text before, "" when there was none.
        after: The file's text after, "" when there is none.
        backup_file: Copy of the file as it was.
        findings: Warnings about the manifest.
        secrets: What must not be shown of any of them.
    """

    changed: bool
    document: dict[str, Any] | None = None
    before: str = ""
    after: str = ""
    backup_file: str = ""
    findings: tuple[Finding, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class _Held:
    """The file as it is: its text, and the document where the text is one."""

    text: str
    document: dict[str, Any] | None
    written_at: float
    problem: ManifestError | None = None


def make_present(request: Request, on_progress: Progress | None = None) -> Outcome:
    """Write the manifest unless the file says the same already.

    Raises:
        ManifestError: It can't be built, would not be valid, or can't be written.
    """
    held = _look(request.path)
    document: dict[str, Any] = ordered(_hosts_apart(_staged(request, held, on_progress)), SCHEMA)
    findings = validate(document)
    if errors_of(findings):
        raise ManifestError.of(request.path, findings)
    after = render(document)
    existing = held.document if held else None
    changed = existing is None or render(existing) != after
    backup_file = ""
    if changed and not request.check_mode:
        backup_file = _backed_up(request) if held else ""
        write(request.path, after, private=bool(secrets_of(document)))
    return Outcome(
        changed=changed or request.unpacked,
        document=document,
        before=held.text if held else "",
        after=after if changed else (held.text if held else after),
        backup_file=backup_file,
        findings=tuple(findings),
        secrets=(*secrets_of(document), *secrets_of(existing)),
    )


def make_absent(request: Request) -> Outcome:
    """Remove the manifest's file if it is there.

    Raises:
        ManifestError: It can't be removed.
    """
    held = _look(request.path)
    if held is None:
        return Outcome(changed=False)
    backup_file = ""
    if not request.check_mode:
        backup_file = _backed_up(request)
        try:
            request.path.unlink()
        except OSError as error:
            raise ManifestError(
                f"The manifest {request.path} can't be removed: {error.strerror or error}."
            ) from error
    return Outcome(
        changed=True,
        before=held.text,
        backup_file=backup_file,
        secrets=tuple(secrets_of(held.document)),
    )


def _look(path: Path) -> _Held | None:
    try:
        raw = path.read_bytes()
        written_at = path.stat().st_mtime
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ManifestError(
            f"The manifest {path} can't be read: {error.strerror or error}."
        ) from error
    try:
        document = parse(raw, path)
        if not isinstance(document, dict):
            raise ManifestError(f"The manifest {path} is not a JSON object.")
        return _Held(raw.decode("utf-8"), document, written_at)
    except ManifestError as error:
        # Its text is not shown as a difference: who knows what is in it.
        return _Held("(not a manifest)\n", None, written_at, error)


def _staged(request: Request, held: _Held | None, on_progress: Progress | None) -> dict[str, Any]:
    settings = request.settings
    existing: dict[str, Any] = {}
    if request.merge or request.artifacts is None:
        if held is not None and held.problem is not None:
            raise held.problem
        existing = held.document if held and held.document else {}
    if request.artifacts is None:
        if not existing:
            raise ManifestError(
                f"The manifest {request.path} does not exist, and nothing is given to build it from.",
                action="Give export, ovf or disks.",
            )
        return merged(existing, settings)

    recorded = held.document if held else None
    artifacts = replace(
        request.artifacts,
        disks=_measured(
            request, request.artifacts.disks, _recorded(held) if held else {}, on_progress
        ),
    )
    described = describe(artifacts, boot_disk=request.boot_disk)
    document = merged(defaults(artifacts.directory, settings), described)
    if existing:
        # Where both say something, the source knows the VM and the file's user the rest.
        fresh = {key: value for key, value in described.items() if key in _FROM_SOURCE}
        document = merged(merged(document, existing), fresh)
    return _dated(merged(document, settings), recorded, settings)


def _measured(
    request: Request,
    disks: tuple[Disk, ...],
    recorded: Mapping[str, tuple[int, str]],
    on_progress: Progress | None,
) -> tuple[Disk, ...]:
    """Return the disks with their files' sizes checked, and their checksums as asked for."""
    for disk in disks:
        _check_size(disk, request.check_mode)
    if not request.checksum:
        return tuple(replace(disk, checksum=None) if disk.checksum else disk for disk in disks)
    known = {disk.path: disk.checksum for disk in disks if disk.checksum}
    for disk in disks:
        size, checksum = recorded.get(str(disk.path), (-1, ""))
        if disk.path not in known and size == disk.size and checksum:
            known[disk.path] = checksum
    unknown = [disk.path for disk in disks if disk.path not in known and disk.path.exists()]
    known.update(sha256_files(unknown, on_progress=on_progress))
    return tuple(replace(disk, checksum=known.get(disk.path)) for disk in disks)


def _check_size(disk: Disk, check_mode: bool) -> None:
    try:
        size = disk.path.stat().st_size
    except FileNotFoundError:
        if check_mode:
            return
        raise ManifestError(
            f"The disk {disk.path} does not exist.", action="Export the VM again."
        ) from None
    except OSError as error:
        raise ManifestError(
            f"The disk {disk.path} can't be read: {error.strerror or error}."
        ) from error
    # What check mode predicts of an export may be about to replace the file.
    if size != disk.size and not check_mode:
        raise ManifestError(
            f"The disk {disk.path} has {size} bytes, and its export says {disk.size}.",
            action="It was changed since or is not complete: export the VM again.",
        )


def _recorded(held: _Held) -> dict[str, tuple[int, str]]:
    """Return size and checksum of the disks that haven't been touched since the manifest was written.

    st_ctime moves with every write and rename and can't be set back, unlike st_mtime.
    """
    disks = held.document.get("disks") if held.document else None
    found: dict[str, tuple[int, str]] = {}
    for disk in disks if isinstance(disks, list) else []:
        if not isinstance(disk, dict):
            continue
        path, size, checksum = disk.get("local_path"), disk.get("bytes"), disk.get("checksum")
        if isinstance(path, str) and isinstance(size, int) and isinstance(checksum, str):
            try:
                untouched = os.stat(path).st_ctime < held.written_at
            except OSError:
                continue
            if untouched:
                found[path] = (size, checksum)
    return found


def _dated(
    document: dict[str, Any], recorded: dict[str, Any] | None, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the document with its times: a re-run keeps those that the file has."""
    now = timestamp(time.time())
    old = recorded or {}
    metadata = dict(document.get("metadata", {}))
    metadata.setdefault("created_at", _text(old, "metadata", "created_at") or now)
    result = {**document, "metadata": metadata}
    asked = settings.get("source", {}).get("export_timestamp")
    exported = _text(old, "source", "export_timestamp")
    if exported and not asked and old.get("disks") == document.get("disks"):
        # The same disks, perhaps copied since: their export is no younger for that.
        result["source"] = {**document.get("source", {}), "export_timestamp": exported}
    if document.get("warnings"):
        given = old.get("warnings")
        earlier = {
            (warning.get("stage"), warning.get("message")): warning.get("timestamp")
            for warning in (given if isinstance(given, list) else [])
            if isinstance(warning, dict)
        }
        result["warnings"] = [
            {
                **warning,
                "timestamp": warning.get("timestamp")
                or earlier.get((warning.get("stage"), warning.get("message")))
                or now,
            }
            for warning in document["warnings"]
        ]
    return result


def _text(document: Mapping[str, Any], section: str, key: str) -> str:
    held = document.get(section)
    value = held.get(key) if isinstance(held, dict) else None
    return value if isinstance(value, str) else ""


def _hosts_apart(document: dict[str, Any]) -> dict[str, Any]:
    """Put a comment in front of hosts that stand beside a host name.

    hyper2kvm 0.2.1 writes /etc/hosts without its last newline when it sets the
    name, so the first line that it then adds ends up behind the one before.
    """
    configuration = document.get("configuration")
    name = configuration.get("hostname") if isinstance(configuration, dict) else None
    if not (
        isinstance(name, dict) and name.get("hostname") and isinstance(name.get("hosts"), dict)
    ):
        return document
    if not name["hosts"]:
        return document
    # "#" sorts before every address.
    hosts = {"hosts": {"#": "added when the VM was converted"}}
    return merged(document, {"configuration": {"hostname": hosts}})


def _backed_up(request: Request) -> str:
    if not request.backup:
        return ""
    target = f"{request.path}.{os.getpid()}.{time.strftime('%Y-%m-%d@%H:%M:%S')}~"
    try:
        shutil.copy2(request.path, target)
    except OSError as error:
        raise ManifestError(
            f"The manifest {request.path} can't be copied to {target}: {error.strerror or error}."
        ) from error
    return target
