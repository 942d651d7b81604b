# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a domain could not be defined or taken away."""

from __future__ import annotations

from ...errors import Hyper2KvmError


class DomainError(Hyper2KvmError):
    """libvirt refused, or what was asked for would harm something that is not ours."""
