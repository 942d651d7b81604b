# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the user wants of an export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..transfer.http_body import STALL_TIMEOUT
from ..vsphere.concerns import Way


@dataclass(frozen=True)
class SnapshotRequest:
    """A snapshot to export through, so that the VM can go on running."""

    name: str | None = None
    """One that is there; None makes one and removes it."""
    quiesce: bool = True
    """Whether VMware Tools bring the guest's filesystems to rest for one that is made."""


@dataclass(frozen=True)
class ManifestRequest:
    """The Artifact Manifest of an export."""

    target_format: str = "qcow2"
    """What its disks are to become: qcow2, raw or vdi."""
    checksum: bool = True
    """Whether it holds each disk's SHA-256."""
    verify: bool = False
    """Whether it is held against the files once it is written."""


@dataclass(frozen=True)
class ExportRequest:
    """The options of one export."""

    directory: Path
    """The directory of this VM."""
    checksum_algorithm: str = "sha256"
    ova: bool = False
    """Whether all is packed into one file."""
    compress: bool = False
    """Whether that file is compressed with gzip."""
    manifest: ManifestRequest | None = None
    """The Artifact Manifest to write; None writes none."""
    parallel: int = 4
    """Disks fetched at the same time."""
    host_map: Mapping[str, str] = field(default_factory=dict)
    """Addresses by host name, for names that don't resolve."""
    bandwidth_limit: float = 0.0
    """Bytes per second of all transfers together; 0 for no limit."""
    resume: bool = True
    """Whether files that an earlier export finished are kept."""
    working_copies: bool = False
    """Whether each disk is also written as a raw image, in the same pass."""
    nvram: bool = True
    """Whether the firmware's variables are fetched, where the VM has such."""
    cdrom_images: bool = False
    """Whether the images in the VM's CD drives are fetched."""
    stall_timeout: float = STALL_TIMEOUT
    """Seconds without a byte after which a connection counts as broken."""
    verify: bool = False
    """Whether the files of an export that is there are read again and compared."""
    check_space: bool = True
    """Whether an export that may not fit the directory's filesystem is refused."""
    snapshot: SnapshotRequest | None = None
    """The snapshot to export through; None exports the VM itself."""
    power_off: bool = False
    shutdown_timeout: float = 300.0
    """Seconds that the guest may take to shut down."""
    force_power_off: bool = False
    restart_on_failure: bool = False
    """Whether a VM that was shut down for an export that failed is started again."""
    ignore_concerns: tuple[str, ...] = ()
    """The ids of concerns that vCenter is to decide on."""

    @property
    def extras(self) -> tuple[str, ...]:
        """Return the kinds of files that are wanted beside the disks."""
        wanted = {"nvram": self.nvram, "cdrom": self.cdrom_images}
        return tuple(kind for kind, want in wanted.items() if want)

    @property
    def way(self) -> Way:
        """Return how the export goes about a VM that runs."""
        return Way(
            power_off=self.power_off,
            force_power_off=self.force_power_off,
            through_snapshot=self.snapshot is not None,
        )
