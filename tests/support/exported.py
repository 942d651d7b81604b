# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A directory as an export leaves it: disks, descriptor and manifest of one VM."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Exported:
    """A VM's directory and the digests of what was exported into it."""

    directory: Path
    digests: dict[str, str]

    @property
    def manifest(self) -> Path:
        return self.directory / "artifact-manifest.json"

    @property
    def out(self) -> Path:
        return self.directory / "out"

    def is_untouched(self) -> bool:
        """Tell whether the exported files are the same as before and nothing lies beside them."""
        return digests(self.directory) == self.digests


def make(directory: Path, disks: Sequence[Path], **sections: Any) -> Exported:
    """Copy disks into a directory, the boot disk first, and describe them.

    Args:
        directory: The VM's directory; made.
        disks: Images; the name's ending is the format.
        sections: Sections of the manifest to set or replace.
    """
    directory.mkdir(parents=True)
    entries = []
    for number, disk in enumerate(disks):
        path = directory / f"web01-disk{number + 1}{disk.suffix}"
        shutil.copyfile(disk, path)
        entries.append(
            {
                "id": f"disk-{number}",
                "source_format": disk.suffix[1:],
                "bytes": path.stat().st_size,
                "local_path": str(path),
                "checksum": f"sha256:{_sha256(path)}",
                "boot_order_hint": number,
                "disk_type": "data" if number else "boot",
            }
        )
    (directory / "web01.ovf").write_text("<Envelope/>\n", encoding="utf-8")
    document = {
        "manifest_version": "1.0",
        "source": {"provider": "vsphere", "vm_id": "vm-1", "vm_name": "web01"},
        "vm": {"cpu": 1, "mem_gb": 1, "firmware": "bios", "os_hint": "linux"},
        "disks": entries,
        "pipeline": {
            "inspect": {"enabled": True, "collect_guest_info": True},
            "fix": {"enabled": True, "backup": True},
            "convert": {"enabled": True, "compress": True},
            "validate": {"enabled": True},
        },
        "output": {"directory": str(directory / "out"), "format": "qcow2"},
        **sections,
    }
    manifest = directory / "artifact-manifest.json"
    manifest.write_text(json.dumps(document, indent=2), encoding="utf-8")
    return Exported(directory, digests(directory))


def digests(directory: Path) -> dict[str, str]:
    """Return the digest of each file of a directory, those of out/ left out."""
    return {
        str(path.relative_to(directory)): _sha256(path) if path.is_file() else "directory"
        for path in sorted(directory.rglob("*"))
        if path.relative_to(directory).parts[0] != "out"
    }


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
