# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The descriptor and the digests that make files an OVF package."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ..atomic import write_text
from ..local_files import local
from ..vsphere.descriptor import OvfFile, create_descriptor
from . import names
from .checksum_file import render_checksums
from .devices import ExportItem
from .record import ExportedFile
from .request import ExportRequest
from .source import Source


def write_package(
    source: Source,
    request: ExportRequest,
    items: Sequence[ExportItem],
    files: Sequence[ExportedFile],
) -> list[ExportedFile]:
    """Write the .ovf and the .mf file and return both.

    Args:
        source: The VM; vCenter describes it.
        request: Where to, and how.
        items: What the lease offered.
        files: What has become of it, in the same order.

    Raises:
        VSphereError: vCenter can't describe the VM.
        LocalFileError: A file can't be written.
    """
    base = names.base_name(source.vm)
    text = create_descriptor(
        source.instance,
        source.managed_object,
        source.vm.name,
        [
            OvfFile(item.url.key, file.name, file.size, item.disk.capacity if item.disk else None)
            for item, file in zip(items, files)
        ],
        source.snapshot,
    )
    algorithm = request.checksum_algorithm
    descriptor = _write(request.directory, f"{base}.ovf", "descriptor", text, algorithm)
    digests = {file.name: file.checksum.partition(":")[2] for file in (descriptor, *files)}
    checksums = render_checksums(algorithm, digests)
    return [descriptor, _write(request.directory, f"{base}.mf", "manifest", checksums, algorithm)]


def _write(directory: Path, name: str, kind: str, text: str, algorithm: str) -> ExportedFile:
    with local(directory / name):
        write_text(directory / name, text)
    data = text.encode()
    checksum = f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
    return ExportedFile(name, kind, len(data), checksum)
