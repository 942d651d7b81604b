# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was changed in a guest so that it runs on KVM, and what stands in its way."""

from __future__ import annotations

from dataclasses import dataclass, replace

ERROR = "error"
"""The guest will not boot, or will not be what it was: the conversion fails."""

WARNING = "warning"
"""The guest boots; somebody should know."""


OR_REPAIR = ", or leave repair on"
"""What else to do about what a repair would have mended, at the end of an action."""


@dataclass(frozen=True)
class Repair:
    """One thing that was changed in the guest.

    `what` is a sentence without its full stop, `path` the absolute path in the guest, `before`
    and `after` the few lines that differ (empty where there was or is nothing).
    """

    what: str
    path: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with the guest, in words for the guest's owner.

    `severity` is `ERROR` or `WARNING`, `path` the absolute path in the guest that it was found in,
    `message` says what is wrong, `action` what to do about it. Both are sentences.
    """

    severity: str
    path: str
    message: str
    action: str

    def after_repair(self) -> Finding:
        """Return what a repair has left, without the advice to have it repaired."""
        return replace(self, action=self.action.replace(OR_REPAIR, ""))
