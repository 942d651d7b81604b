# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands in the way of an export."""

from __future__ import annotations

from ..errors import Hyper2KvmError


class ExportError(Hyper2KvmError):
    """A VM can't be exported, or its export is not what it must be."""
