# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A raw image that is a fresh copy of an exported disk, and the note that says so.

hyper2kvm changes the image. The note beside it holds the digest of the file that it was decoded
from, and the image's size and time of last change: an image that was written since no longer fits
its note, and is made anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..atomic import write_text


def note_copy(image: Path, checksum: str) -> None:
    """Note that an image holds just what an exported disk holds.

    Args:
        image: The raw image, complete.
        checksum: The digest of the exported file, as the manifest writes it.

    Raises:
        OSError: The note can't be written.
    """
    write_text(_note_of(image), json.dumps({"checksum": checksum, **_state(image)}) + "\n")


def is_fresh_copy(image: Path, checksum: str) -> bool:
    """Tell whether an image is still the copy of the exported file with this digest."""
    try:
        note = json.loads(_note_of(image).read_text(encoding="utf-8"))
        return bool(note == {"checksum": checksum, **_state(image)})
    except (OSError, ValueError):
        return False


def forget_copy(image: Path) -> None:
    """Take the note away, before the image is changed."""
    _note_of(image).unlink(missing_ok=True)


def _note_of(image: Path) -> Path:
    return image.with_name(f"{image.name}.json")


def _state(image: Path) -> dict[str, Any]:
    status = image.stat()
    return {"size": status.st_size, "modified_ns": status.st_mtime_ns}
