# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What hyper2kvm's log says: the stage it is in, how far it is, and which edits failed.

Its exit status and its report say success whatever became of the edits, so the
log is where a failed one shows. Patterns were taken from logs of 0.2.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import ConversionError, RootNotFoundError

_RECORD = re.compile(
    r"\b(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL)\s+\[proc=[^\]]*\]\s?(?P<message>.*)"
)
_STAGE = re.compile(r"Stage: (?P<name>[A-Z ]+?)\s*$")
_PROGRESS = re.compile(r"Progress: (?P<percent>\d+(?:\.\d+)?)%")
_DISK = re.compile(r"Converting disk: (?P<id>[A-Za-z0-9_-]+)\s*$")

# Lines that mean that something which FIX wanted to write is not in the image.
FAILED_EDITS = tuple(
    re.compile(pattern)
    for pattern in (
        r"Read-only file system",
        r"No space left on device",
        r"Input/output error",
        r"Structure needs cleaning",
        r"Stage failed: ",
        r"Failed to write ",
        r"manual intervention required",
        r"Failed to apply fix to ",
        r"initramfs may be incomplete",
    )
)

# Warnings and errors of 0.2.1 that come with good conversions, and why they do no harm.
HARMLESS = tuple(
    re.compile(pattern)
    for pattern in (
        # INSPECT's guest inspection never works in 0.2.1; nothing depends on it.
        r"Guest inspection failed: name 'guestfs' is not defined",
        # Two of the four extra fixes always fail, and are done again by another path.
        r"'GuestFS' object has no attribute 'command_with_mounts'",
        # The manifest asked for no guest configuration.
        r"network-config: no network_files or nm_connections provided",
        r"user-config: no users, disable_users, or delete_users provided",
        # It would give XFS filesystems of the *host* a new UUID, by the guest's device names: in
        # the sandbox there are none, and the guest's own keep theirs.
        r"Command failed: xfs_admin -U generate /dev/",
        r"Failed to regenerate UUID for /dev/",
        # It would mount a guest's btrfs on the *host* to list its subvolumes, and then tries
        # those of usual names, which it does in the appliance.
        r"Command failed: mount -o ro,subvolid=5 /dev/",
        r"Could not list btrfs subvolumes using host command",
        # Its network step raises for every file of ifupdown and every .netdev file, and gives up
        # where its own check doubts what it made; such a file stays as it was.
        r"(?:Error processing|Failed to apply fix(?:es)? to) /etc/network/interfaces",
        r"Error processing /etc/systemd/network/.*has no attribute 'fix_systemd_netdev'",
        r"(?:Validation failed for|Failed to apply fixes to) /etc/",
        # It leaves such a name in fstab as it was; what becomes of it is for the look at the guest,
        # which asks for a UUID where it can't be told.
        r"FAILED to map by-path device: /dev/disk/by-path/",
    )
)

# What FIX ends with when it finds no root filesystem on the boot disk.
_NO_ROOT = re.compile(
    r"Failed to mount root filesystem"
    r"|No valid partition devices found"
    r"|Failed to list partitions/filesystems"
)


def kind_of_failure(said: str) -> type[ConversionError]:
    """Return which error it is that FIX failed with these words."""
    return RootNotFoundError if _NO_ROOT.search(said) else ConversionError


@dataclass(frozen=True)
class Progress:
    """Where a run of hyper2kvm is.

    Attributes:
        stage: load_manifest, inspect, fix, convert, validate; empty before the first.
        disk: Id of the disk that is being converted, empty otherwise.
        percent: How much of that disk is converted, None outside of CONVERT.
    """

    stage: str = ""
    disk: str = ""
    percent: float | None = None

    def __str__(self) -> str:
        place = self.stage or "its start"
        if self.percent is not None:
            return f"{place}, {self.disk} at {self.percent:.0f} %".replace(",  at", " at")
        return place


class RunLog:
    """Reads hyper2kvm's output line by line and keeps what matters, in bounded memory."""

    _KEPT = 50

    def __init__(self) -> None:
        self.progress = Progress()
        self.failed_edits: list[str] = []
        self.warnings: list[str] = []

    def take(self, line: str) -> bool:
        """Read one line; returns whether the progress changed."""
        record = _RECORD.search(line)
        level, message = record.group("level", "message") if record else ("", line)
        self._judge(level, message.strip())
        return self._follow(message)

    def _judge(self, level: str, message: str) -> None:
        if level in ("", "DEBUG", "INFO") or any(known.search(message) for known in HARMLESS):
            return
        failed = level in ("ERROR", "CRITICAL") or any(
            pattern.search(message) for pattern in FAILED_EDITS
        )
        kept = self.failed_edits if failed else self.warnings
        if len(kept) < self._KEPT:
            kept.append(message)

    def _follow(self, message: str) -> bool:
        before = self.progress
        if match := _STAGE.search(message):
            self.progress = Progress(match.group("name").lower().replace(" ", "_"))
        elif match := _DISK.search(message):
            self.progress = Progress(before.stage, match.group("id"), 0.0)
        elif match := _PROGRESS.search(message):
            self.progress = Progress(before.stage, before.disk, float(match.group("percent")))
        return self.progress != before
