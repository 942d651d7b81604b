# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong with one download."""

from __future__ import annotations

from ..errors import Hyper2KvmError


class TransferError(Hyper2KvmError):
    """A file could not be fetched; fetching it again may help."""


class Cancelled(Hyper2KvmError):
    """The transfer was given up because something else failed."""
