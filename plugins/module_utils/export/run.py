# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Export one VM: lease, files, descriptor, digests, record."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..atomic import write_text
from ..transfer.cancel import Cancellation
from ..transfer.download import Download, Fetched, fetch
from ..transfer.errors import Cancelled
from ..transfer.progress import Progress
from ..vsphere.connection import VCenter
from ..vsphere.descriptor import OvfFile, create_descriptor
from ..vsphere.errors import VSphereError, sentence
from ..vsphere.facts import Vm
from ..vsphere.lease import ExportLease
from . import names
from .checksum_file import render_checksums
from .devices import ExportItem, match_urls
from .endpoints import endpoint_of
from .errors import ExportError
from .record import (
    FILE_NAME,
    ExportedFile,
    Record,
    identity_of,
    is_intact,
    read_record,
    write_record,
)
from .request import ExportRequest

try:
    from pyVmomi import vim, vmodl
except ImportError:
    pass  # vsphere/connection.py tells


@dataclass(frozen=True)
class Source:
    """The VM to export and the session that it was found in."""

    instance: Any
    """The vim.ServiceInstance."""
    managed_object: Any
    """The vim.VirtualMachine."""
    vcenter: VCenter
    vm: Vm

    @property
    def identity(self) -> dict[str, Any]:
        """Return what an export of this VM, in this state, is known by."""
        return identity_of(self.vm, str(self.instance.content.about.instanceUuid or ""))


def unchanged_export(source: Source, request: ExportRequest) -> Record | None:
    """Return the record of an export that is complete and still true, or None.

    No file is read: sizes, and what vCenter says of the VM, tell.
    """
    record = read_record(request.directory)
    if (
        record is not None
        and record.identity == source.identity
        and record.checksum_algorithm == request.checksum_algorithm
        and is_intact(request.directory, record.files)
    ):
        return record
    return None


def export(source: Source, request: ExportRequest, warn: Callable[[str], None]) -> Record:
    """Export a VM that is powered off into a directory that is held, and return its record.

    Args:
        source: The VM.
        request: Where to, and how.
        warn: Told what the user should know although the export goes on.

    Raises:
        Hyper2KvmError: The export failed; the lease is aborted and nothing half-done has a name.
    """
    started = time.monotonic()
    # What is there is about to change: no record may speak for it meanwhile.
    (request.directory / FILE_NAME).unlink(missing_ok=True)
    cancellation = Cancellation()
    progress = Progress(sum(disk.capacity for disk in source.vm.disks))
    with ExportLease(
        source.instance, _ask_for_lease(source), source.vm.name, progress.percent
    ) as lease:
        lease.on_lost = cancellation.cancel
        if request.checksum_algorithm == "sha256":
            lease.ask_for_sha256()
        items = match_urls(source.vm, lease.urls)
        downloads = [_download(item, source, request) for item in items]
        try:
            fetched = _fetch_all(
                downloads,
                request,
                partial(
                    fetch,
                    algorithm=request.checksum_algorithm,
                    progress=progress,
                    cancellation=cancellation,
                    warn=warn,
                ),
                cancellation,
            )
        except Cancelled:
            lease.check()
            raise
        lease.check()
        files = [_exported(item, done) for item, done in zip(items, fetched)]
        _compare(lease.checksums(), items, files)
        files += _write_descriptor(source, request, items, files)
    record = Record(
        identity=source.identity,
        checksum_algorithm=request.checksum_algorithm,
        duration=round(time.monotonic() - started, 3),
        bytes_transferred=progress.received,
        files=tuple(files),
    )
    write_record(request.directory, record)
    return record


def _ask_for_lease(source: Source) -> Any:
    try:
        return source.managed_object.ExportVm()
    except vim.fault.InvalidPowerState as fault:
        raise VSphereError(
            f"{source.vm.name} is {fault.existingState}; only a VM that is powered off can be exported.",
            action="Shut it down, or let the module do so with power_off: true.",
        ) from fault
    except vmodl.MethodFault as fault:
        raise VSphereError(
            f"vCenter refused to export {source.vm.name}: {sentence(fault)}."
        ) from fault


def _download(item: ExportItem, source: Source, request: ExportRequest) -> Download:
    return Download(
        endpoint=endpoint_of(item.url, source.vcenter, request.host_map),
        path=request.directory / item.name,
        capacity=item.disk.capacity if item.disk else None,
    )


def _fetch_all(
    downloads: Sequence[Download],
    request: ExportRequest,
    fetch_one: Callable[[Download], Fetched],
    cancellation: Cancellation,
) -> list[Fetched]:
    with ThreadPoolExecutor(request.parallel, thread_name_prefix="fetch") as pool:
        futures = [pool.submit(fetch_one, download) for download in downloads]
        try:
            return [future.result() for future in futures]
        except BaseException as error:
            # One failure ends the others at once; the first real one is the one to tell.
            cancellation.cancel()
            for future in futures:
                future.cancel()
            if isinstance(error, Cancelled):
                pool.shutdown(wait=True)
                for future in futures:
                    reason = None if future.cancelled() else future.exception()
                    if reason is not None and not isinstance(reason, Cancelled):
                        raise reason from None
            raise


def _exported(item: ExportItem, fetched: Fetched) -> ExportedFile:
    return ExportedFile(
        name=item.name,
        kind=item.kind,
        size=fetched.size,
        checksum=fetched.checksum,
        device_key=item.disk.key if item.disk else None,
    )


def _compare(
    offered: Mapping[str, tuple[str, str, int]],
    items: Sequence[ExportItem],
    files: Sequence[ExportedFile],
) -> None:
    """Hold what has arrived against what the host says it has sent, where it can tell.

    Raises:
        ExportError: A file differs.
    """
    for item, file in zip(items, files):
        algorithm, digest, _size = offered.get(item.url.key, ("", "", 0))
        own_algorithm, _, own_digest = file.checksum.partition(":")
        if algorithm.replace("-", "").lower() == own_algorithm and digest != own_digest:
            raise ExportError(
                f"{file.name} arrived with the digest {own_digest}, "
                f"but the host says it sent {digest}.",
                action="The data was changed on the way; export again.",
            )


def _write_descriptor(
    source: Source,
    request: ExportRequest,
    items: Sequence[ExportItem],
    files: Sequence[ExportedFile],
) -> list[ExportedFile]:
    base = names.base_name(source.vm)
    text = create_descriptor(
        source.instance,
        source.managed_object,
        source.vm.name,
        [
            OvfFile(item.url.key, file.name, file.size, item.disk.capacity if item.disk else None)
            for item, file in zip(items, files)
        ],
    )
    algorithm = request.checksum_algorithm
    descriptor = _write(request.directory, f"{base}.ovf", "descriptor", text, algorithm)
    digests = {file.name: file.checksum.partition(":")[2] for file in (descriptor, *files)}
    checksums = render_checksums(algorithm, digests)
    return [descriptor, _write(request.directory, f"{base}.mf", "manifest", checksums, algorithm)]


def _write(directory: Path, name: str, kind: str, text: str, algorithm: str) -> ExportedFile:
    write_text(directory / name, text)
    data = text.encode()
    checksum = f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
    return ExportedFile(name, kind, len(data), checksum)
