# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files of an export are finished: kept on disk, so that a run after a crash can go on."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ..local_files import local
from .record import FILE_NAME, ExportedFile, Record, is_intact, read_record, write_record
from .request import ExportRequest
from .source import Source


def kept_disks(
    earlier: Record | None, source: Source, request: ExportRequest, damaged: Collection[str] = ()
) -> dict[str, ExportedFile]:
    """Return the disks that an earlier export finished and that need not be fetched, by name.

    Args:
        earlier: The record of the earlier export.
        source: The VM, in the state in which it is exported.
        request: Where to, and how.
        damaged: Names of files that are not what they were.
    """
    if (
        not request.resume
        or earlier is None
        or not earlier.is_of(source.identity, request.checksum_algorithm)
    ):
        return {}
    return {
        file.name: file
        for file in earlier.files
        if file.kind == "disk" and file.name not in damaged and is_intact(request.directory, file)
    }


class Account:
    """The finished files of an export that is not complete yet.

    Args:
        source: The VM, in the state in which it is exported.
        request: Where to, and how.
        damaged: Names of files that are not what they were.
    """

    def __init__(
        self, source: Source, request: ExportRequest, damaged: Collection[str] = ()
    ) -> None:
        self._identity = source.identity
        self._guest_networks = {
            mac: network.as_dict() for mac, network in source.vm.guest_networks().items()
        }
        self._request = request
        earlier = read_record(request.directory)
        if earlier is not None and earlier.is_of(self._identity, request.checksum_algorithm):
            # The run before this one has shut the guest down.
            self._guest_networks = self._guest_networks or earlier.guest_networks
        self._files = kept_disks(earlier, source, request, damaged)
        # From here on nothing may speak for files that are about to be replaced.
        with local(request.directory / FILE_NAME):
            (request.directory / FILE_NAME).unlink(missing_ok=True)
        if self._files or self._guest_networks:
            self._write(self._files.values(), complete=False)

    def finished(self, name: str) -> ExportedFile | None:
        """Return the file of this name if it is finished."""
        return self._files.get(name)

    def add(self, file: ExportedFile) -> None:
        """Note a file that is finished."""
        self._files[file.name] = file
        self._write(self._files.values(), complete=False)

    def drop(self, file: ExportedFile) -> None:
        """Note that a file is not what it should be; it is removed, to be fetched anew."""
        self._files.pop(file.name, None)
        path = self._request.directory / file.name
        with local(path):
            path.unlink(missing_ok=True)
        self._write(self._files.values(), complete=False)

    def close(
        self,
        files: Iterable[ExportedFile],
        members: Iterable[ExportedFile],
        duration: float,
        transferred: int,
    ) -> Record:
        """Note that the export is complete, and return its record.

        Args:
            files: All its files.
            members: What is inside an OVA among them.
            duration: Seconds it took.
            transferred: Bytes that were received.
        """
        return self._write(
            files,
            members,
            complete=True,
            duration=round(duration, 3),
            transferred=transferred,
        )

    def _write(
        self,
        files: Iterable[ExportedFile],
        members: Iterable[ExportedFile] = (),
        *,
        complete: bool,
        duration: float = 0.0,
        transferred: int = 0,
    ) -> Record:
        record = Record(
            identity=self._identity,
            checksum_algorithm=self._request.checksum_algorithm,
            complete=complete,
            duration=duration,
            bytes_transferred=transferred,
            files=tuple(files),
            extras=self._request.extras,
            members=tuple(members),
            guest_networks=self._guest_networks,
        )
        with local(self._request.directory / FILE_NAME):
            write_record(self._request.directory, record)
        return record
