# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong between the exported disks and the converted ones."""

from __future__ import annotations

from ..errors import Hyper2KvmError


class ConversionError(Hyper2KvmError):
    """A VM was not converted, or its conversion can't be believed."""


class RootNotFoundError(ConversionError):
    """hyper2kvm's FIX found no root filesystem on the boot disk."""
