# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is exported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..vsphere.connection import VCenter
from ..vsphere.facts import Vm
from .record import identity_of


@dataclass(frozen=True)
class Source:
    """The VM to export and the session that it was found in."""

    instance: Any
    """The vim.ServiceInstance."""
    managed_object: Any
    """The vim.VirtualMachine."""
    vcenter: VCenter
    vm: Vm
    snapshot: Any = None
    """The vim.vm.Snapshot to export; None exports the VM itself."""

    @property
    def identity(self) -> dict[str, Any]:
        """Return what an export of this VM, in this state, is known by."""
        uuid = str(self.instance.content.about.instanceUuid or "")
        snapshot = self.snapshot._moId if self.snapshot is not None else None
        return {**identity_of(self.vm, uuid), "snapshot": snapshot}
