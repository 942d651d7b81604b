# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Have vCenter write the OVF descriptor (DSP0243, OVF 1.1) of what was exported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .errors import VSphereError, sentence

try:
    from pyVmomi import vim
except ImportError:
    pass  # connection.py tells


@dataclass(frozen=True)
class OvfFile:
    """A file that the descriptor lists: sizes in bytes, capacity only for disks."""

    device_key: str
    path: str
    size: int
    capacity: int | None


def create_descriptor(
    instance: Any, vm: Any, name: str, files: Iterable[OvfFile], snapshot: Any = None
) -> str:
    """Return the OVF envelope of a VM as XML text.

    Args:
        instance: The vim.ServiceInstance.
        vm: The vim.VirtualMachine.
        name: The name of the virtual system.
        files: With their real sizes, so that C(ovf:size) is true.
        snapshot: The vim.vm.Snapshot whose configuration is described, if any.

    Raises:
        VSphereError: vCenter can't describe the VM.
    """
    parameters = vim.OvfManager.CreateDescriptorParams(
        name=name,
        snapshot=snapshot,
        ovfFiles=[
            vim.OvfManager.OvfFile(
                deviceId=file.device_key, path=file.path, size=file.size, capacity=file.capacity
            )
            for file in files
        ],
    )
    result = instance.content.ovfManager.CreateDescriptor(obj=vm, cdp=parameters)
    if result.error:
        problems = "; ".join(sentence(fault) for fault in result.error)
        raise VSphereError(f"vCenter can't describe {name} as an OVF: {problems}.")
    return str(result.ovfDescriptor)
