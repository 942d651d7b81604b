# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the user wants of an export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class ExportRequest:
    """The options of one export."""

    directory: Path
    """The directory of this VM."""
    checksum_algorithm: str = "sha256"
    parallel: int = 4
    """Disks fetched at the same time."""
    host_map: Mapping[str, str] = field(default_factory=dict)
    """Addresses by host name, for names that don't resolve."""
    power_off: bool = False
    shutdown_timeout: float = 300.0
    """Seconds that the guest may take to shut down."""
    force_power_off: bool = False
