# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What came of looking at a guest and repairing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .repair import Finding, Repair


@dataclass(frozen=True)
class Outcome:
    """Its state as plain values for a playbook, what was changed in it, and what is wrong."""

    summary: dict[str, Any]
    repaired: Sequence[Repair] = field(default_factory=tuple)
    findings: Sequence[Finding] = field(default_factory=tuple)
