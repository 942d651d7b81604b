#!/usr/bin/python
# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Say what exports of VMs would move, and what stands in their way."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vsphere_export_info
version_added: "0.1.0"
short_description: Say what exports of VMs from VMware vSphere would move, and what stands in their way
description:
  - Says of one VM, or of all that are meant, what M(hypersdk.hyper2kvm.vsphere_ovf_export) would move, and what it
    would stumble over. It asks for no lease, and changes nothing.
  - All VMs are read with one login and a number of queries that does not grow with them. vCenter answers in pages
    of 1,000.
  - The concerns are those that M(hypersdk.hyper2kvm.vsphere_ovf_export) looks at before it does anything, in check
    mode too. Whether the files have room is known only to it, since it knows their directory.
extends_documentation_fragment:
  - hypersdk.hyper2kvm.vsphere
  - hypersdk.hyper2kvm.attributes
  - hypersdk.hyper2kvm.attributes.info_module
  - hypersdk.hyper2kvm.attributes.actiongroup_vsphere
author:
  - The hypersdk.hyper2kvm authors (@hypersdk)
options:
  name:
    description:
      - Names of VMs and templates. A name may be a shell pattern, such as V(web*).
      - A VM is meant that fits one of O(name), O(uuid) and O(moid); without any of these, all VMs are.
        O(folder) and O(datacenter) narrow that down.
    type: list
    elements: str
    default: []
  uuid:
    description:
      - BIOS UUIDs of VMs, or their instance UUIDs with O(use_instance_uuid=true).
    type: list
    elements: str
    default: []
  use_instance_uuid:
    description:
      - Whether O(uuid) has instance UUIDs, which vCenter keeps unique.
    type: bool
    default: false
  moid:
    description:
      - Managed object IDs of VMs, V(vm-1234) for instance.
    type: list
    elements: str
    default: []
  folder:
    description:
      - The folder of the VMs, as a path below the datacenter's VM folder, V(/production/web) for instance.
    type: str
  recurse:
    description:
      - Whether VMs in folders below O(folder) are meant too.
    type: bool
    default: true
  datacenter:
    description:
      - The name of the datacenter of the VMs.
    type: str
  power_off:
    description:
      - Judge VMs that run for exports with O(hypersdk.hyper2kvm.vsphere_ovf_export#module:power_off).
    type: bool
    default: false
  force_power_off:
    description:
      - Judge VMs that run for exports with O(hypersdk.hyper2kvm.vsphere_ovf_export#module:force_power_off).
    type: bool
    default: false
  through_snapshot:
    description:
      - Judge VMs that run for exports with O(hypersdk.hyper2kvm.vsphere_ovf_export#module:snapshot).
    type: bool
    default: false
seealso:
  - module: hypersdk.hyper2kvm.vsphere_ovf_export
"""

EXAMPLES = r"""
- name: Look at every VM of a folder, which will be shut down for its export
  hypersdk.hyper2kvm.vsphere_export_info:
    hostname: vcenter.example.com
    username: migration@vsphere.local
    password: "{{ vcenter_password }}"
    datacenter: Berlin
    folder: /production
    power_off: true
  register: fleet

- name: Name what can't be moved as it is, and why
  ansible.builtin.debug:
    msg: "{{ item.concerns | selectattr('severity', 'eq', 'error') | map(attribute='message') | join(' ') }}"
  loop: "{{ fleet.vms | rejectattr('exportable') }}"
  loop_control:
    label: "{{ item.name }}"

- name: Say how much there is to move
  ansible.builtin.debug:
    msg: "{{ fleet.vms | map(attribute='disks') | flatten | map(attribute='used') | sum | human_readable }}"

- name: Look at one VM, and stop if it is not there
  hypersdk.hyper2kvm.vsphere_export_info:
    hostname: vcenter.example.com
    username: migration@vsphere.local
    password: "{{ vcenter_password }}"
    name: web01
  register: one
  failed_when: one.missing is truthy
"""

RETURN = r"""
vms:
  description: The VMs, by datacenter, folder and name.
  returned: success
  type: list
  elements: dict
  contains:
    exportable:
      description: Whether no concern is an error.
      type: bool
    concerns:
      description: What stands in the way of an export, or will not be as it was; the gravest first.
      type: list
      elements: dict
      contains:
        id:
          description: The kind of the concern.
          type: str
          sample: disk_independent
        severity:
          description:
            - V(error) where the export fails, V(warning) where somebody should know what becomes of the VM, and
              V(information).
          type: str
        message:
          description: What it is.
          type: str
        action:
          description: What to do about it.
          type: str
    name:
      description: The VM's name.
      type: str
    moid:
      description: Its managed object ID.
      type: str
    uuid:
      description: Its BIOS UUID.
      type: str
    instance_uuid:
      description: Its UUID in vCenter.
      type: str
    datacenter:
      description: Its datacenter.
      type: str
    folder:
      description: Its folder, as a path below the datacenter's VM folder.
      type: str
    host:
      description: The ESXi host that it is registered on.
      type: str
    vcenter_url:
      description: The vCenter.
      type: str
    power_state:
      description: V(poweredOff), V(poweredOn) or V(suspended).
      type: str
    connection_state:
      description: Whether vCenter reaches the VM; V(connected), or what it is instead.
      type: str
    tools_running:
      description: Whether VMware Tools run in it.
      type: bool
    template:
      description: Whether it is a template.
      type: bool
    guest_id:
      description: vSphere's identifier of the guest's operating system.
      type: str
      sample: debian12_64Guest
    guest_full_name:
      description: The guest's operating system, for people.
      type: str
    firmware:
      description: V(bios) or V(uefi).
      type: str
    secure_boot:
      description: Whether secure boot is on.
      type: bool
    tpm:
      description: Whether it has a virtual TPM.
      type: bool
    encrypted:
      description: Whether vSphere encrypts its configuration.
      type: bool
    cpu:
      description: The number of virtual CPUs.
      type: int
    memory_mb:
      description: Its memory in MiB.
      type: int
    change_version:
      description: vSphere's mark of the configuration; it changes with each change.
      type: str
    consolidation_needed:
      description: Whether files of removed snapshots are left.
      type: bool
    disks:
      description: The disks, in the order in which the firmware tries to boot them.
      type: list
      elements: dict
      contains:
        id:
          description: The disk's name in a manifest.
          type: str
          sample: disk-0
        label:
          description: Its label in vSphere.
          type: str
          sample: Hard disk 1
        format:
          description: What it is exported as, always V(vmdk).
          type: str
        capacity:
          description: The size of the disk that the guest sees, in bytes.
          type: int
        used:
          description: What it takes on its datastore, in bytes; an export is smaller, since it is compressed.
          type: int
        datastore:
          description: Its datastore.
          type: str
        file:
          description: Its file.
          type: str
          sample: "[datastore1] web01/web01.vmdk"
        mode:
          description: vSphere's disk mode.
          type: str
          sample: persistent
        raw_mapping:
          description: V(physical) or V(virtual) for a raw device mapping, empty for others.
          type: str
        shared:
          description: Whether other VMs may write it too.
          type: bool
        controller:
          description: The kind of its controller.
          type: str
          sample: pvscsi
        bus_number:
          description: The number of its controller.
          type: int
        unit_number:
          description: Its place at the controller.
          type: int
        boot:
          description: Whether the VM boots from it.
          type: bool
        boot_order:
          description: Its place in the boot order, from 0.
          type: int
    nics:
      description: The network adapters.
      type: list
      elements: dict
      contains:
        label:
          description: Its label in vSphere.
          type: str
        mac:
          description: Its MAC address.
          type: str
        network:
          description: The network that it is connected to.
          type: str
        adapter_type:
          description: Its kind.
          type: str
          sample: vmxnet3
        pci_slot:
          description: The number of its PCI slot, V(192) for what Linux then calls C(ens192).
          type: int
        addresses:
          description: The addresses that VMware Tools report while the guest runs.
          type: list
          elements: str
        ip_config:
          description: The same addresses with the C(prefix) of the network and the C(origin), where Tools tell them.
          type: list
          elements: dict
          contains:
            address:
              description: The IP address.
              type: str
              sample: 192.0.2.10
            prefix:
              description: The bits of its network's prefix.
              type: int
              sample: 24
            origin:
              description: How the guest came by it, such as V(manual) or V(dhcp).
              type: str
        gateways:
          description: The addresses of the gateways of the guest's default routes through this adapter.
          type: list
          elements: str
        dns_servers:
          description: The addresses of the name servers that the guest asks.
          type: list
          elements: str
        dns_search:
          description: The domains that the guest looks names up in.
          type: list
          elements: str
    cdroms:
      description: The CD drives that hold an image, each with its C(label) and its C(image).
      type: list
      elements: dict
    host_devices:
      description: The labels of PCI, USB and SR-IOV devices of the ESXi host that it uses.
      type: list
      elements: str
    snapshots:
      description: Its snapshots, each after the one that it was made after.
      type: list
      elements: dict
      contains:
        name:
          description: Its name.
          type: str
        moid:
          description: Its managed object ID.
          type: str
        created:
          description: When it was made.
          type: str
          sample: "2026-01-21T20:00:00+00:00"
        parent:
          description: The managed object ID of the snapshot that it was made after, empty for the first.
          type: str
missing:
  description: What of O(name), O(uuid) and O(moid) no VM fits.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.errors import Hyper2KvmError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.export.survey import survey
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.interrupt import signals_raise
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere import connection
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.concerns import Way
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.lookup import Search
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.options import (
    connection_argument_spec,
)


def argument_spec() -> dict[str, Any]:
    """Return the options of this module."""
    several = {"type": "list", "elements": "str", "default": []}
    return {
        **connection_argument_spec(),
        "name": several,
        "uuid": several,
        "use_instance_uuid": {"type": "bool", "default": False},
        "moid": several,
        "folder": {"type": "str"},
        "recurse": {"type": "bool", "default": True},
        "datacenter": {"type": "str"},
        "power_off": {"type": "bool", "default": False},
        "force_power_off": {"type": "bool", "default": False},
        "through_snapshot": {"type": "bool", "default": False},
    }


def search_of(options: dict[str, Any]) -> Search:
    """Return which VMs the options mean."""
    return Search(
        names=tuple(options["name"]),
        uuids=tuple(options["uuid"]),
        use_instance_uuid=options["use_instance_uuid"],
        moids=tuple(options["moid"]),
        folder=options["folder"],
        datacenter=options["datacenter"],
        recurse=options["recurse"],
        patterns=True,
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    if connection.PYVMOMI_ERROR:
        module.fail_json(msg=missing_required_lib("pyvmomi"), exception=connection.PYVMOMI_ERROR)
    options = module.params
    way = Way(
        power_off=options["power_off"],
        force_power_off=options["force_power_off"],
        through_snapshot=options["through_snapshot"],
    )
    try:
        with signals_raise():
            result = survey(connection.VCenter.from_options(options), search_of(options), way)
    except Hyper2KvmError as error:
        module.fail_json(**error.failure())
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
