# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What vCenter refuses, in sentences."""

from __future__ import annotations

from typing import Any

from ..errors import Hyper2KvmError


class VSphereError(Hyper2KvmError):
    """vCenter can't do, or won't do, what was asked."""


class LeaseLost(VSphereError):
    """The export lease is gone: it expired, was aborted elsewhere, or the session ended."""


def sentence(fault: Any) -> str:
    """Return what a vSphere fault says, with its type, in one line.

    Args:
        fault: A MethodFault, raised by pyVmomi or found in a task or lease; or another exception.
    """
    kind = type(fault).__name__.rpartition(".")[2]
    text = str(getattr(fault, "msg", "") or "").strip()
    if isinstance(fault, OSError):
        text = str(fault)
    details = [
        str(getattr(message, "message", "") or "").strip()
        for message in getattr(fault, "faultMessage", None) or ()
    ]
    said = " ".join(part for part in [text, *details] if part)
    return f"{said.rstrip('.')} ({kind})" if said else kind
