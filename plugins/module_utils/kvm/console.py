# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a serial console says: that the machine is up, or that it never will be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# A login prompt of agetty: the host name, then "login:".
LOGIN_PROMPT = r"^\S+ login:"

# CSI and OSC sequences, and two-character escapes, of ECMA-48.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
# What is kept for the tail, and how much of it is searched anew with each piece: a line may
# come in several, and a slow guest sends a few bytes at a time.
_WINDOW = 8192
_LOOK_BACK = 512
_LONGEST_ESCAPE = 64


@dataclass(frozen=True)
class Failure:
    """A state that a machine does not leave by itself.

    Attributes:
        name: Short name for playbooks.
        pattern: What the console shows.
        meaning: One sentence for people.
    """

    name: str
    pattern: re.Pattern[str]
    meaning: str


def _failure(name: str, pattern: str, meaning: str) -> Failure:
    return Failure(name, re.compile(pattern, re.MULTILINE), meaning)


FAILURES: Sequence[Failure] = (
    _failure(
        "kernel_panic",
        r"Kernel panic - not syncing",
        "its kernel panicked",
    ),
    _failure(
        "initramfs",
        # initramfs-tools; dracut; mkinitcpio; Alpine's.
        r"^\s*\(initramfs\)"
        r"|^dracut:/#|^Entering emergency mode\. Exit the shell to continue"
        r"|Generating \"/run/initramfs/rdsosreport\.txt\"|Warning: Could not boot\."
        r"|You are now being dropped into an emergency shell|^\[rootfs ?\S*\]#"
        r"|initramfs emergency recovery shell launched",
        "it stopped in its initramfs: the root filesystem was not found, usually since the"
        " initramfs lacks a driver or names a device of the old controller",
    ),
    _failure(
        "grub_rescue",
        r"^\s*grub rescue>",
        "it stopped at GRUB's rescue prompt: GRUB does not find its own files",
    ),
    _failure(
        "grub_shell",
        r"^\s*grub>",
        "it stopped at GRUB's prompt: GRUB found no configuration",
    ),
    _failure(
        "grub_error",
        r"^error: (?:\S+:\d+:\s*)?you need to load the kernel first",
        "GRUB did not find the kernel that its configuration names",
    ),
    _failure(
        "secure_boot_violation",
        r"BdsDxe: failed to load \S+ .*: Access Denied|Verification failed: \(0x1A\)"
        r"|^error: (?:\S+:\d+:\s*)?(?:bad shim signature|prohibited by secure boot policy)"
        r"|has invalid signature\.|Security Policy Violation",
        "Secure Boot refused what it was to boot: it is not signed by a key that the firmware or"
        " shim knows",
    ),
    _failure(
        "emergency_mode",
        r"You are in (?:emergency|rescue) mode|Welcome to emergency mode"
        r"|Give root password for maintenance|Press Enter for maintenance"
        r"|Cannot open access to console, the root account is locked",
        "it went into emergency mode: usually a filesystem of /etc/fstab is missing",
    ),
    _failure(
        "passphrase",
        r"Please unlock disk \S+|[Ee]nter passphrase for |Please enter passphrase for disk",
        "it waits for somebody to type the passphrase of an encrypted disk",
    ),
    _failure(
        "no_bootable_device",
        # SeaBIOS; the boot sectors of DOS, GPT and Windows; OVMF; iPXE and OVMF's network boot.
        r"No bootable device\.|Boot failed: not a bootable disk"
        r"|Missing operating system|Operating system not found|Error loading operating system"
        r"|BOOTMGR is missing|NTLDR is missing"
        r"|BdsDxe: No bootable option or device was found|^Shell> "
        r"|PXE-E\d\d: |>>Start PXE over IPv|No more network devices",
        "its firmware found nothing to boot: the boot loader is missing, or the firmware is the"
        " wrong one (BIOS or UEFI)",
    ),
)


class Console:
    """Reads a serial console piece by piece, in bounded memory."""

    def __init__(self, pattern: str) -> None:
        self._pattern = re.compile(pattern, re.MULTILINE)
        self._raw = ""
        self._text = ""
        self.matched = ""
        self.failure: Failure | None = None

    @property
    def decided(self) -> bool:
        """Whether it is known how the boot ends."""
        return bool(self.matched) or self.failure is not None

    def feed(self, piece: bytes) -> None:
        """Read a piece; matched or failure are set once they are known."""
        raw = self._raw + piece.decode("utf-8", errors="replace")
        # An escape sequence that is cut at the end waits for its rest.
        cut = raw.rfind("\x1b", max(0, len(raw) - _LONGEST_ESCAPE))
        if cut >= 0 and not _ESCAPES.match(raw, cut):
            raw, self._raw = raw[:cut], raw[cut:]
        else:
            self._raw = ""
        clean = _CONTROL.sub("", _ESCAPES.sub("", raw.replace("\r\n", "\n").replace("\r", "\n")))
        self._text = (self._text + clean)[-max(_WINDOW, 2 * len(clean)) :]
        self._look(max(0, len(self._text) - len(clean) - _LOOK_BACK))

    def tail(self, lines: int = 20) -> list[str]:
        """Return the last lines that are not empty."""
        return [line.rstrip() for line in self._text.splitlines() if line.strip()][-lines:]

    def _look(self, start: int) -> None:
        if self.decided:
            return
        found = self._pattern.search(self._text, start)
        earliest = found.start() if found else len(self._text)
        for failure in FAILURES:
            seen = failure.pattern.search(self._text, start)
            if seen and seen.start() < earliest:
                earliest, found, self.failure = seen.start(), None, failure
        if found:
            self.matched = found.group(0).strip()
