#!/usr/bin/python
# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Start a VM of vSphere, or shut it down."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vsphere_vm_power
short_description: Start a VM of vSphere, or shut it down
version_added: "0.1.0"
author:
  - The hypersdk.hyper2kvm authors (@hypersdk)
description:
  - Brings a VM to a power state, with the connection options of M(hypersdk.hyper2kvm.vsphere_ovf_export). The role
    P(hypersdk.hyper2kvm.migrate#role) starts the source again with it when a migration is rolled back.
options:
  state:
    description:
      - V(powered_on) starts the VM, or resumes a suspended one.
      - V(powered_off) has VMware Tools shut the guest down.
    type: str
    choices: [powered_on, powered_off]
    required: true
  shutdown_timeout:
    description: Seconds that the guest may take to shut down.
    type: int
    default: 300
  force_power_off:
    description: Whether a guest that did not shut down in time is powered off hard.
    type: bool
    default: false
requirements:
  - pyVmomi 8.0.3.0.1 or newer
extends_documentation_fragment:
  - hypersdk.hyper2kvm.vsphere
  - hypersdk.hyper2kvm.vm
  - hypersdk.hyper2kvm.attributes
  - hypersdk.hyper2kvm.attributes.actiongroup_vsphere
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: hypersdk.hyper2kvm.vsphere_ovf_export
  - module: vmware.vmware.vm_powerstate
"""

EXAMPLES = r"""
- name: Start the VM again
  hypersdk.hyper2kvm.vsphere_vm_power:
    hostname: vcenter.example.com
    username: "{{ vcenter_username }}"
    password: "{{ vcenter_password }}"
    name: web01
    state: powered_on
"""

RETURN = r"""
vm:
  description: The VM.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: web01
    moid:
      description: Its managed object ID.
      type: str
      sample: vm-1234
    power_state:
      description: Its power state afterwards; in check mode what it would be.
      type: str
      sample: powered_on
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.errors import Hyper2KvmError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.interrupt import signals_raise
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere import connection
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.facts import read_vm
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.lookup import (
    Selection,
    find_vm,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.options import (
    connection_argument_spec,
    vm_argument_spec,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.power import (
    power_on,
    shut_down,
)

_STATES = {"poweredOn": "powered_on", "poweredOff": "powered_off"}


def run(options: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return the module's result."""
    wanted = options["state"]
    with connection.session(connection.VCenter.from_options(options)) as instance:
        managed_object = find_vm(instance, Selection.from_options(options))
        vm = read_vm(instance, managed_object)
        before = _STATES.get(vm.power_state, vm.power_state)
        changed = before != wanted
        if changed and not check_mode:
            if wanted == "powered_on":
                power_on(managed_object, vm.name)
            else:
                shut_down(
                    instance,
                    managed_object,
                    vm,
                    timeout=options["shutdown_timeout"],
                    force=options["force_power_off"],
                )
    result = {
        "changed": changed,
        "vm": {"name": vm.name, "moid": vm.moid, "power_state": wanted},
    }
    if changed:
        result["diff"] = {"before": {"power_state": before}, "after": {"power_state": wanted}}
    return result


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            **connection_argument_spec(),
            **vm_argument_spec(),
            "state": {"type": "str", "choices": list(_STATES.values()), "required": True},
            "shutdown_timeout": {"type": "int", "default": 300},
            "force_power_off": {"type": "bool", "default": False},
        },
        mutually_exclusive=[("name", "uuid", "moid")],
        required_one_of=[("name", "uuid", "moid")],
        supports_check_mode=True,
    )
    if connection.PYVMOMI_ERROR:
        module.fail_json(msg=missing_required_lib("pyvmomi"), exception=connection.PYVMOMI_ERROR)
    try:
        with signals_raise():
            result = run(module.params, module.check_mode)
    except Hyper2KvmError as error:
        module.fail_json(**error.failure())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
