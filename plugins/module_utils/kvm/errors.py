# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a converted machine could not be shown to boot."""

from __future__ import annotations

from ..errors import Hyper2KvmError


class BootCheckError(Hyper2KvmError):
    """The machine did not boot, or could not be started at all."""
