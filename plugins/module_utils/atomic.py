# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write small files so that a reader sees the old one or the new one, never half of it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_text(path: Path, text: str, mode: int | None = None) -> None:
    """Replace a file with this text, on the disk before it has the name.

    Args:
        path: The file.
        text: Its content, which is written as UTF-8.
        mode: Its permissions, whatever the umask says; None takes 0644 less the umask.

    Raises:
        OSError: It can't be written; the old file is then as it was.
    """
    # Beside the file: a rename is atomic within one file system only. A name of its own: two that
    # write the same file don't write into each other's.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        # What is for few eyes is so from the first byte on.
        file = os.open(part, flags, 0o644 if mode is None else mode & 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            if mode is not None:
                os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
