# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read an export again and tell which of its files are no longer what they were."""

from __future__ import annotations

from pathlib import Path

from ..manifest.checksums import read_files
from .record import ExportedFile, Record


def changed_files(directory: Path, record: Record) -> list[ExportedFile]:
    """Return the files whose content no longer has the digest on record.

    Args:
        directory: Of the export.
        record: Its record; every file must be there.

    Raises:
        Hyper2KvmError: A file can't be read.
    """
    wanted = {directory / file.name: file for file in record.files}
    digests = read_files(dict.fromkeys(wanted, (record.checksum_algorithm,)))
    return [
        file
        for path, file in wanted.items()
        if f"{record.checksum_algorithm}:{digests[path][record.checksum_algorithm]}"
        != file.checksum
    ]
