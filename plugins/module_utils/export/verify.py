# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read an export again and tell which of its files are no longer what they were."""

from __future__ import annotations

from pathlib import Path

from ..manifest.checksums import read_files
from .record import ExportedFile, Record, is_intact


def changed_files(directory: Path, record: Record) -> list[ExportedFile]:
    """Return the files whose content no longer has the digest on record.

    Args:
        directory: Of the export.
        record: Its record; of its files those are read that are there with their size.

    Raises:
        Hyper2KvmError: A file can't be read.
    """
    wanted = {directory / file.name: file for file in record.files if is_intact(directory, file)}
    digests = read_files(dict.fromkeys(wanted, (record.checksum_algorithm,)))
    return [
        file
        for path, file in wanted.items()
        if f"{record.checksum_algorithm}:{digests[path][record.checksum_algorithm]}"
        != file.checksum
    ]
