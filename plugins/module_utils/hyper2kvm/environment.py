# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables that hyper2kvm and libguestfs get."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .errors import ConversionError

CACHE_VARIABLE = "LIBGUESTFS_CACHEDIR"

# Never the user's: the other backend needs the host's nbd module and mounts, which
# the sandbox takes away.
_FORCED = {"HYPER2KVM_GUESTFS_BACKEND": "libguestfs"}


def hyper2kvm_environment(additions: Mapping[str, str], *, kvm: bool) -> dict[str, str]:
    """Return the variables, and make the directory of libguestfs' appliance.

    Args:
        additions: The user's.
        kvm: Whether KVM works; libguestfs is told not to try otherwise.

    Raises:
        ConversionError: The directory can't be made.
    """
    environment = {"LIBGUESTFS_BACKEND": "direct", "PYTHONUNBUFFERED": "1"}
    if not kvm:
        environment["LIBGUESTFS_BACKEND_SETTINGS"] = "force_tcg"
    environment.update(additions)
    environment.update(_FORCED)
    cache = Path(environment.setdefault(CACHE_VARIABLE, str(default_cache()))).absolute()
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConversionError(
            f"The directory of libguestfs' appliance, {cache}, can't be made: {error.strerror}.",
            action=f"Set {CACHE_VARIABLE} in environment to a directory that can be written.",
        ) from error
    environment[CACHE_VARIABLE] = str(cache)
    return environment


def default_cache() -> Path:
    """Return where libguestfs keeps its appliance between runs, one for all VMs of a host."""
    if os.geteuid() == 0:
        return Path("/var/cache/hypersdk-hyper2kvm/libguestfs")
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "hypersdk-hyper2kvm" / "libguestfs"
