#!/usr/bin/python
# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Tell what works on a conversion host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: conversion_host_info
short_description: Tell what works on a conversion host
version_added: "0.1.0"
author:
  - The hypersdk.hyper2kvm authors (@hypersdk)
description:
  - Tries what M(hypersdk.hyper2kvm.hyper2kvm_convert) and M(hypersdk.hyper2kvm.kvm_boot_check) need on the host that
    it runs on, and returns the versions of the programs. The role P(hypersdk.hyper2kvm.conversion_host#role) ends
    with it.
  - KVM counts as working when a virtual CPU executes code; a C(/dev/kvm) alone does not say so.
options:
  executable:
    description:
      - hyper2kvm's program. Looked for beside the module's Python, on E(PATH), and in C(/opt/hyper2kvm/bin), when
        left out.
    type: path
  start_appliance:
    description:
      - Whether to start libguestfs' appliance. That takes a few seconds with KVM, and half a minute or more without.
      - The first start builds it in libguestfs' cache directory, where later conversions find it.
    type: bool
    default: false
  appliance_timeout:
    description: Seconds that the appliance may take to start.
    type: int
    default: 600
  environment:
    description: Variables for libguestfs, as in O(hypersdk.hyper2kvm.hyper2kvm_convert#module:environment).
    type: dict
    default: {}
  directory:
    description:
      - A directory to tell the free space of, such as that of all VMs. It need not exist yet.
    type: path
extends_documentation_fragment:
  - hypersdk.hyper2kvm.attributes
  - hypersdk.hyper2kvm.attributes.info_module
seealso:
  - module: hypersdk.hyper2kvm.hyper2kvm_convert
"""

EXAMPLES = r"""
- name: Look at the conversion host
  hypersdk.hyper2kvm.conversion_host_info:
    start_appliance: true
  vars:
    ansible_python_interpreter: /opt/hyper2kvm/bin/python3
  register: host

- name: Stop when something is missing
  ansible.builtin.assert:
    that: host.problems is falsy
    fail_msg: "{{ host.problems | join(' ') }}"
"""

RETURN = r"""
kvm:
  description: Whether KVM executes code.
  returned: success
  type: bool
bubblewrap:
  description: Whether the sandbox can be made.
  returned: success
  type: bool
bubblewrap_version:
  description: Version of bubblewrap, empty when it is missing.
  returned: success
  type: str
  sample: 0.8.0
hyper2kvm:
  description: Whether hyper2kvm and libguestfs' Python binding import.
  returned: success
  type: bool
hyper2kvm_version:
  description: Version of hyper2kvm's package, empty when it is missing.
  returned: success
  type: str
  sample: 0.2.1
hyper2kvm_executable:
  description: hyper2kvm's program.
  returned: success
  type: str
  sample: /opt/hyper2kvm/bin/hyper2kvm
libguestfs:
  description: Whether libguestfs' appliance starts, null when that was not tried.
  returned: success
  type: bool
libguestfs_version:
  description: Version of libguestfs, empty when its binding is missing.
  returned: success
  type: str
  sample: 1.48.6
qemu_version:
  description: Version of QEMU for x86-64, empty when it is missing.
  returned: success
  type: str
  sample: 7.2.22
qemu_img_version:
  description: Version of qemu-img, empty when it is missing.
  returned: success
  type: str
  sample: 7.2.22
swtpm_version:
  description: Version of swtpm, which emulates TPMs, empty when it is missing.
  returned: success
  type: str
  sample: 0.7.1
virt_install_version:
  description: Version of virt-install, which M(hypersdk.hyper2kvm.kvm_domain) needs, empty when it is missing.
  returned: success
  type: str
  sample: 4.1.0
libvirt_version:
  description: Version of libvirt's client, empty when it is missing.
  returned: success
  type: str
  sample: 9.0.0
uefi:
  description: Whether there is firmware for UEFI machines.
  returned: success
  type: bool
secure_boot:
  description: Whether there is firmware for UEFI machines with Secure Boot, with keys enrolled.
  returned: success
  type: bool
hivex:
  description: Whether hivex' Python binding imports, which the registries of Windows guests need.
  returned: success
  type: bool
nbd:
  description: Whether the kernel's nbd module is loaded. Nothing in this collection needs it.
  returned: success
  type: bool
python_version:
  description: Version of the Python that runs hyper2kvm.
  returned: success
  type: str
  sample: 3.11.2
free_mb:
  description: Free space of O(directory) in MiB, null when none is given.
  returned: success
  type: int
  sample: 913408
cpus:
  description: Number of CPUs.
  returned: success
  type: int
  sample: 8
memory_mb:
  description: Memory in MiB.
  returned: success
  type: int
  sample: 32108
problems:
  description: A sentence for everything that does not work.
  returned: success
  type: list
  elements: str
"""

from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.errors import Hyper2KvmError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.host import host_facts
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.interrupt import signals_raise


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "executable": {"type": "path"},
            "start_appliance": {"type": "bool", "default": False},
            "appliance_timeout": {"type": "int", "default": 600},
            "environment": {"type": "dict", "default": {}},
            "directory": {"type": "path"},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    try:
        with signals_raise():
            facts = host_facts(
                parameters["executable"],
                start_appliance=parameters["start_appliance"],
                appliance_timeout=parameters["appliance_timeout"],
                environment={key: str(value) for key, value in parameters["environment"].items()},
                directory=Path(parameters["directory"]) if parameters["directory"] else None,
            )
    except Hyper2KvmError as error:
        module.fail_json(**error.failure())
    module.exit_json(changed=False, **asdict(facts))


if __name__ == "__main__":
    main()
