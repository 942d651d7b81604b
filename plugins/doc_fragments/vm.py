# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of how a VM is selected."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of module_utils/vsphere/options.py, vm_argument_spec()."""

    DOCUMENTATION = r"""
options:
  name:
    description:
      - The name of the VM or template.
      - If several have it, the task fails and lists them; O(datacenter) and O(folder) narrow the search.
    type: str
  uuid:
    description:
      - The BIOS UUID of the VM, or its instance UUID with O(use_instance_uuid=true).
    type: str
  use_instance_uuid:
    description:
      - Whether O(uuid) is the instance UUID, which vCenter keeps unique.
    type: bool
    default: false
  moid:
    description:
      - The managed object ID of the VM, V(vm-1234) for instance.
    type: str
  folder:
    description:
      - The folder of the VM, as a path below the datacenter's VM folder, V(/production/web) for instance.
      - Only VMs directly in it are meant.
    type: str
  datacenter:
    description:
      - The name of the datacenter of the VM.
    type: str
"""
