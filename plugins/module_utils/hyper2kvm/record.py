# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""conversion.json: what was converted from what, so that a second run can leave it alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..atomic import write_text

FILE_NAME = "conversion.json"
_VERSION = 1
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Output:
    """One converted disk; sizes in bytes, checksum as "sha256:" and hex digits."""

    id: str
    path: str
    format: str
    size: int
    virtual_size: int
    checksum: str


def fingerprint(**inputs: Any) -> str:
    """Return a digest of everything that a conversion's result depends on."""
    text = json.dumps(inputs, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def file_checksum(path: Path) -> str:
    """Return "sha256:" and the digest of a file, read in constant memory."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_CHUNK))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            digest.update(buffer[:size])
    return f"sha256:{digest.hexdigest()}"


def load_record(path: Path, expected_fingerprint: str) -> dict[str, Any] | None:
    """Return the result of an earlier conversion of the same, when all of it is still there.

    An output counts as unchanged by its size and modification time; when only
    the time differs (the directory was copied) its digest decides.
    """
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if record["version"] != _VERSION or record["fingerprint"] != expected_fingerprint:
            return None
        for output, modified_ns in zip(record["outputs"], record["modified_ns"]):
            file = Path(output["path"])
            status = file.stat()
            if status.st_size != output["size"]:
                return None
            if status.st_mtime_ns != modified_ns and file_checksum(file) != output["checksum"]:
                return None
        result: dict[str, Any] = record["result"]
        return {**result, "outputs": record["outputs"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_record(
    path: Path, own_fingerprint: str, outputs: Sequence[Output], result: Mapping[str, Any]
) -> None:
    """Write the record, whole or not at all.

    Args:
        path: Where.
        own_fingerprint: See fingerprint().
        outputs: The converted disks.
        result: What else a second run returns.
    """
    record = {
        "version": _VERSION,
        "fingerprint": own_fingerprint,
        "outputs": [asdict(output) for output in outputs],
        "modified_ns": [Path(output.path).stat().st_mtime_ns for output in outputs],
        "result": dict(result),
    }
    write_text(path, json.dumps(record, indent=2) + "\n")
