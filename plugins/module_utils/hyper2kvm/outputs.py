# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our own look at a converted disk, whatever hyper2kvm's VALIDATE says of it.

In 0.2.1 that stage succeeds when qemu-img check fails; it only logs a warning.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .errors import ConversionError
from .images import QemuImg
from .record import Output, file_checksum
from .working_copies import WorkingCopy


def output_path(directory: Path, disk_id: str, output_format: str) -> Path:
    """Return where hyper2kvm puts a converted disk; its names can't be chosen."""
    return directory / f"{disk_id}.{output_format}"


def verify_output(
    copied: WorkingCopy,
    *,
    directory: Path,
    output_format: str,
    against_source: bool,
    qemu_img: QemuImg,
    timeout: float,
) -> Output:
    """Return a converted disk after it was found to be right.

    Args:
        copied: The working copy that it was made from.
        directory: Where the converted disks are.
        output_format: qcow2, raw or vdi.
        against_source: Whether it must equal the exported file; otherwise the working copy.
        qemu_img: Answers.
        timeout: Seconds for each answer.

    Raises:
        ConversionError: It is missing, damaged, of another size or of other content.
    """
    path = output_path(directory, copied.disk.id, output_format)
    if not path.is_file():
        raise ConversionError(f"hyper2kvm says success, but there is no {path}.")
    virtual_size = qemu_img.virtual_size(path, output_format)
    if virtual_size != copied.capacity:
        raise ConversionError(
            f"{path} holds a disk of {virtual_size} bytes, its source {copied.disk.path} one of"
            f" {copied.capacity}."
        )
    qemu_img.check(path, output_format, timeout)
    if against_source:
        source, source_format = copied.disk.path, copied.disk.format
    else:
        source, source_format = copied.path, "raw"
    # The digest beside: it takes a processor of its own.
    with ThreadPoolExecutor(max_workers=1) as executor:
        checksum = executor.submit(file_checksum, path)
        qemu_img.compare(source, source_format, path, output_format, timeout)
    return Output(
        id=copied.disk.id,
        path=str(path),
        format=output_format,
        size=path.stat().st_size,
        virtual_size=virtual_size,
        checksum=checksum.result(),
    )
