# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong with the sandbox itself."""

from __future__ import annotations

from ..errors import Hyper2KvmError


class SandboxError(Hyper2KvmError):
    """A program could not be started in the sandbox."""
