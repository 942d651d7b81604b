# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which images make up the machine that is to be booted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import BootCheckError
from .machine import Disk

RECORD_NAME = "conversion.json"

_NO_HINT = 999


def converted_disks(document: dict[str, Any], output_directory: Path) -> tuple[list[Disk], int]:
    """Return the converted disks of a manifest and the index of the one to boot from.

    Args:
        document: The manifest.
        output_directory: Where hyper2kvm_convert put them and its conversion.json.

    Raises:
        BootCheckError: They were not converted, or one is missing.
    """
    record_path = output_directory / RECORD_NAME
    try:
        outputs = json.loads(record_path.read_text(encoding="utf-8"))["outputs"]
        paths = {output["id"]: Path(output["path"]) for output in outputs}
    except FileNotFoundError:
        raise BootCheckError(
            f"{record_path} does not exist: no conversion of this VM is finished.",
            action="Run hyper2kvm_convert first, or name the images as disks.",
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BootCheckError(
            f"{record_path} can't be read: {error}.", action="Convert the VM again."
        ) from error
    entries = document["disks"]
    missing = [entry["id"] for entry in entries if entry["id"] not in paths]
    if missing:
        raise BootCheckError(
            f"{record_path} knows nothing of the manifest's disk {missing[0]}.",
            action="Convert the VM again.",
        )
    hints = [entry.get("boot_order_hint", _NO_HINT) for entry in entries]
    return given_disks([paths[entry["id"]] for entry in entries]), hints.index(min(hints))


def given_disks(paths: Sequence[Path]) -> list[Disk]:
    """Return the images at *paths*; raises BootCheckError when one is missing."""
    disks = []
    for path in paths:
        if not path.is_file():
            raise BootCheckError(f"The image {path} does not exist.")
        disks.append(Disk.of(path.resolve()))
    return disks
