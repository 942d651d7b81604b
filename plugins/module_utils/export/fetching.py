# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetch the files of one lease in parallel."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

from ..local_files import local
from ..transfer.cancel import Cancellation
from ..transfer.download import Conditions, Download, Fetched, fetch
from ..transfer.errors import Cancelled
from ..transfer.pace import Pace
from ..transfer.progress import Progress
from ..vmdk.decode import decode_file
from ..vmdk.working_copy import is_fresh_copy, note_copy
from .account import Account
from .devices import ExportItem
from .directory import WORKING_COPIES
from .endpoints import endpoint_of
from .record import ExportedFile
from .request import ExportRequest
from .source import Source

_MOST_DECODERS = 8


def working_copy_of(request: ExportRequest, index: int) -> Path:
    """Return where the raw image of a disk is written; the first disk has the index 0."""
    return request.directory / WORKING_COPIES / f"disk-{index}.raw"


def fetch_items(
    items: Sequence[ExportItem],
    source: Source,
    request: ExportRequest,
    account: Account,
    *,
    progress: Progress,
    cancellation: Cancellation,
    sent: Callable[[], Mapping[str, tuple[str, str]]],
    warn: Callable[[str], None],
) -> list[ExportedFile]:
    """Fetch what the account doesn't hold as finished yet, and return all, in order.

    A file that is not what the host says it has sent is returned too, but dropped.

    Args:
        items: What the lease offers.
        source: The VM.
        request: Where to, and how.
        account: Of the finished files.
        progress: Told how far each file is.
        cancellation: Gives up all transfers.
        sent: Returns (algorithm, hex digest) of what the host has sent so far, by device key.
        warn: Told about each failed try.

    Raises:
        Hyper2KvmError: One could not be fetched; the others are given up then.
    """
    workers = min(request.parallel, max(1, len(items)))
    conditions = Conditions(
        algorithm=request.checksum_algorithm,
        progress=progress,
        pace=Pace(request.bandwidth_limit),
        cancellation=cancellation,
        decoders=max(1, min(os.cpu_count() or 1, _MOST_DECODERS) // workers),
        warn=warn,
    )

    def one(item: ExportItem) -> ExportedFile:
        copy = _copy_wanted(item, request)
        kept = account.finished(item.name)
        if kept is None:
            return _exported(item, fetch(_download(item, copy, source, request), conditions))
        if copy is not None and not is_fresh_copy(copy, kept.checksum):
            with local(copy):
                decode_file(
                    request.directory / item.name,
                    copy,
                    on_progress=lambda _done, _total: cancellation.check(),
                )
                note_copy(copy, kept.checksum)
        if item.disk is not None:
            progress.reach(item.name, item.disk.capacity)
        return kept

    with ThreadPoolExecutor(workers, thread_name_prefix="fetch") as pool:
        futures = {pool.submit(one, item): item for item in items}
        try:
            for future in as_completed(futures):
                file = future.result()
                # Before it is on record: what breaks another file must not let this one pass.
                if differs(futures[future], file, sent()):
                    account.drop(file)
                else:
                    account.add(file)
        except BaseException as error:
            cancellation.cancel()
            for future in futures:
                future.cancel()
            if isinstance(error, Cancelled):
                pool.shutdown(wait=True)
                _raise_cause(list(futures))
            raise
    return [future.result() for future in futures]


def differs(item: ExportItem, file: ExportedFile, sent: Mapping[str, tuple[str, str]]) -> bool:
    """Tell whether a file is not what the host says it has sent; False where that can't be told."""
    algorithm, digest = sent.get(item.url.key, ("", ""))
    own_algorithm, _colon, own_digest = file.checksum.partition(":")
    comparable = digest and algorithm.replace("-", "").lower() == own_algorithm
    return bool(comparable and digest != own_digest)


def _raise_cause(futures: Sequence[Future[ExportedFile]]) -> None:
    """Raise what made the transfers give up, rather than that one of them gave up."""
    for future in futures:
        reason = None if future.cancelled() else future.exception()
        if reason is not None and not isinstance(reason, Cancelled):
            raise reason from None


def _copy_wanted(item: ExportItem, request: ExportRequest) -> Path | None:
    if not request.working_copies or item.disk is None:
        return None
    copy = working_copy_of(request, item.index)
    with local(copy.parent):
        copy.parent.mkdir(mode=0o700, exist_ok=True)
    return copy


def _download(
    item: ExportItem, copy: Path | None, source: Source, request: ExportRequest
) -> Download:
    return Download(
        endpoint=endpoint_of(item.url, source.vcenter, request.host_map, request.stall_timeout),
        path=request.directory / item.name,
        capacity=item.disk.capacity if item.disk else None,
        working_copy=copy,
    )


def _exported(item: ExportItem, fetched: Fetched) -> ExportedFile:
    return ExportedFile(
        name=item.name,
        kind=item.kind,
        size=fetched.size,
        checksum=fetched.checksum,
        device_key=item.disk.key if item.disk else None,
    )
