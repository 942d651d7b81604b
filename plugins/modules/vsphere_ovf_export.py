#!/usr/bin/python
# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Export a VM from vSphere as OVF and VMDK."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vsphere_ovf_export
version_added: "0.1.0"
short_description: Export a VM from VMware vSphere as OVF and VMDK
description:
  - Exports a VM that is powered off over an export lease of vCenter, and writes its disks as stream-optimized VMDK,
    its OVF descriptor and an C(.mf) file with the digests.
  - The bytes go from the ESXi host straight to the machine where the module runs.
    Each is received once; digests and the check of the disks' structure are computed as they pass.
  - A disk has its name only when it is complete and checked.
    The lease is completed at the end and aborted on any error, so that no task is left in vCenter.
extends_documentation_fragment:
  - hypersdk.hyper2kvm.vsphere
  - hypersdk.hyper2kvm.vm
  - hypersdk.hyper2kvm.attributes
  - hypersdk.hyper2kvm.attributes.actiongroup_vsphere
author:
  - The hypersdk.hyper2kvm authors (@hypersdk)
attributes:
  check_mode:
    support: full
    details:
      - Asks vCenter for the VM and returns what would be exported; takes no lease and changes no power state.
  diff_mode:
    support: full
    details:
      - Lists the files of the export, before and after.
  idempotent:
    support: full
    details:
      - C(export.json) in O(dest) records the VM's identity and state. An export that is complete,
        of a VM that has not been changed or started since, is kept.
options:
  dest:
    description:
      - The directory of this VM, on the machine where the module runs. It is made when it is missing.
    type: path
    required: true
  format:
    description:
      - V(ovf) makes a directory with the descriptor, the disks and the C(.mf) file.
      - V(ova) packs these into one file.
    type: str
    choices: [ovf, ova]
    default: ovf
  compress:
    description:
      - Whether the OVA is compressed with gzip, as C(.ova.gz). The disks in it are compressed already, so little is won.
      - Only with O(format=ova).
    type: bool
    default: false
  checksum_algorithm:
    description:
      - The digest of each file, in the C(.mf) file and in the result.
    type: str
    choices: [sha256, sha1, sha512]
    default: sha256
  parallel:
    description:
      - How many disks are fetched at the same time.
    type: int
    default: 4
  host_map:
    description:
      - Addresses of ESXi hosts, by the names that vCenter gives them, for names that don't resolve
        where the module runs.
    type: dict
    default: {}
  bandwidth_limit:
    description:
      - At most so many MiB per second are received, by all disks of this VM together.
      - V(0) sets no limit.
    type: float
    default: 0
  resume:
    description:
      - Whether disks are kept that an earlier, interrupted export of the VM in the same state finished.
      - The state is told by the VM's C(changeVersion) and the C(contentId) of each disk. Where vSphere
        has no C(contentId) for a disk, and it is none of a snapshot, nothing is kept.
      - A file is always fetched from its beginning; ESXi can't send part of one.
    type: bool
    default: true
  verify:
    description:
      - Whether the files of an export that is already there, complete or not, are read again and
        their digests compared. A disk that has changed is fetched anew.
      - Without it only their sizes are looked at, which takes no time.
    type: bool
    default: false
  working_copies:
    description:
      - Whether each disk is also decoded to a sparse raw image, C(work/disk-N.raw) in O(dest), while it arrives.
      - M(hypersdk.hyper2kvm.hyper2kvm_convert) works on these, and decodes the VMDK where there is none.
      - Takes less time where the Python library C(deflate), or at least C(isal), is installed on the machine
        where the module runs. Neither is needed.
    type: bool
    default: false
  nvram:
    description:
      - Whether the firmware's variables are exported too, where the VM has such.
        A UEFI guest may not boot without them.
    type: bool
    default: true
  cdrom_images:
    description:
      - Whether the images in the VM's CD drives are exported too. A machine that boots from its disks
        needs none, and they make an export larger.
    type: bool
    default: false
  stall_timeout:
    description:
      - Seconds without a byte from an ESXi host after which the connection counts as broken, and the
        file is fetched anew. A host that reads a long empty part of a thin disk is silent for minutes.
      - A host that is gone is noticed within two minutes all the same, by TCP's own keep-alive.
    type: int
    default: 600
  check_space:
    description:
      - Whether an export is refused that may not fit the filesystem of O(dest).
      - What the VM's disks occupy on their datastore is taken as the bound, and once more for O(working_copies).
        Disks that are kept need no room again.
        An export is smaller, since it is compressed. Set this to V(false) where you know that it fits.
    type: bool
    default: true
  snapshot:
    description:
      - Exports through a snapshot, so that the VM can go on running.
    type: dict
    suboptions:
      create:
        description:
          - Whether a snapshot is made for the export; it is removed afterwards, whatever happens.
        type: bool
        default: false
      name:
        description:
          - The name of a snapshot that is there. It is left there.
        type: str
      quiesce:
        description:
          - Whether VMware Tools bring the guest's filesystems to rest for a snapshot that is made.
        type: bool
        default: true
  manifest:
    description:
      - Whether the Artifact Manifest of the export, C(artifact-manifest.json), is written too.
      - M(hypersdk.hyper2kvm.artifact_manifest) has options for all that it may hold.
    type: bool
    default: false
  verify_manifest:
    description:
      - Whether the manifest is held against the files once it is written, in schema, sizes, digests and disk structure.
    type: bool
    default: false
  manifest_checksum:
    description:
      - Whether the manifest holds each disk's SHA-256.
    type: bool
    default: true
  manifest_target:
    description:
      - What the manifest asks the disks to be converted to.
    type: str
    choices: [qcow2, raw, vdi]
    default: qcow2
  power_off:
    description:
      - Whether a VM that runs is shut down through VMware Tools. It stays off afterwards.
      - Without it the task fails on a VM that runs.
    type: bool
    default: false
  shutdown_timeout:
    description:
      - Seconds that the guest may take to shut down.
    type: int
    default: 300
  force_power_off:
    description:
      - Whether a guest that has not shut down in O(shutdown_timeout), or that has no VMware Tools, is powered off hard.
        Its filesystems are then as after a loss of power.
    type: bool
    default: false
  restart_on_failure:
    description:
      - Whether a VM that was shut down for the export is started again if the export fails.
    type: bool
    default: false
  ignore_concerns:
    description:
      - Concerns of the severity V(error) that do not keep the export from being tried. What vCenter refuses then
        fails the task, after a VM that ran was shut down.
      - By M(hypersdk.hyper2kvm.vsphere_export_info) they are known before.
    type: list
    elements: str
    choices: [disk_independent, disk_raw_mapping, disk_shared, encrypted, tpm]
    default: []
seealso:
  - module: hypersdk.hyper2kvm.vsphere_export_info
  - module: hypersdk.hyper2kvm.artifact_manifest
"""

EXAMPLES = r"""
- name: Export a VM to the conversion host
  hypersdk.hyper2kvm.vsphere_ovf_export:
    hostname: vcenter.example.com
    username: migration@vsphere.local
    password: "{{ vcenter_password }}"
    name: web01
    dest: /srv/migration/web01
  delegate_to: conversion01.example.com
  register: export

- name: Shut a VM down if it runs, and export it from one datacenter and folder
  hypersdk.hyper2kvm.vsphere_ovf_export:
    hostname: vcenter.example.com
    username: migration@vsphere.local
    password: "{{ vcenter_password }}"
    ca_path: /etc/pki/vcenter-ca.pem
    name: db01
    datacenter: Berlin
    folder: /production/databases
    dest: /srv/migration/db01
    power_off: true
    shutdown_timeout: 600
    force_power_off: true
    restart_on_failure: true

- name: Export a VM that goes on running, with raw images of its disks, at 100 MiB per second at most
  hypersdk.hyper2kvm.vsphere_ovf_export:
    hostname: vcenter.example.com
    username: migration@vsphere.local
    password: "{{ vcenter_password }}"
    uuid: 421f5b0a-6c3d-4b5e-9d0e-2f1c8a7b6d54
    dest: /srv/migration/web03
    snapshot:
      create: true
    working_copies: true
    bandwidth_limit: 100

- name: Export to one file
  hypersdk.hyper2kvm.vsphere_ovf_export:
    hostname: vcenter.example.com
    username: migration@vsphere.local
    password: "{{ vcenter_password }}"
    name: appliance01
    dest: /srv/archive/appliance01
    format: ova
    compress: true
    checksum_algorithm: sha512
    cdrom_images: true

- name: Export eight disks at a time to a filesystem that is known to be large enough
  hypersdk.hyper2kvm.vsphere_ovf_export:
    hostname: vcenter.example.com
    username: migration@vsphere.local
    password: "{{ vcenter_password }}"
    name: files01
    dest: /srv/migration/files01
    parallel: 8
    stall_timeout: 1800
    check_space: false

- name: Export a VM with an independent disk all the same, and begin with nothing of an earlier try
  hypersdk.hyper2kvm.vsphere_ovf_export:
    hostname: vcenter.example.com
    username: migration@vsphere.local
    password: "{{ vcenter_password }}"
    name: legacy01
    dest: /srv/migration/legacy01
    ignore_concerns: [disk_independent]
    resume: false

- name: Export, and write and verify the manifest that hyper2kvm converts by
  hypersdk.hyper2kvm.vsphere_ovf_export:
    hostname: vcenter.example.com
    username: migration@vsphere.local
    password: "{{ vcenter_password }}"
    name: web01
    dest: /srv/migration/web01
    manifest: true
    verify_manifest: true
    manifest_target: raw

- name: Read an export again and fetch anew what has changed on disk
  hypersdk.hyper2kvm.vsphere_ovf_export:
    hostname: vcenter.example.com
    username: migration@vsphere.local
    password: "{{ vcenter_password }}"
    name: web01
    dest: /srv/migration/web01
    verify: true

- name: Pin vCenter's certificate, and reach an ESXi host whose name does not resolve
  hypersdk.hyper2kvm.vsphere_ovf_export:
    hostname: vcenter.example.com
    username: migration@vsphere.local
    password: "{{ vcenter_password }}"
    thumbprint: "4F:5A:0C:98:C1:0D:11:0C:F1:4A:1C:C1:EE:F4:0B:0B:36:2F:2A:B4"
    moid: vm-1234
    dest: /srv/migration/web02
    host_map:
      esxi07.corp.internal: 192.0.2.7
"""

RETURN = r"""
dest:
  description: The directory of the export.
  returned: success
  type: str
  sample: /srv/migration/web01
ova_path:
  description: The package in one file.
  returned: O(format=ova)
  type: str
  sample: /srv/archive/appliance01/appliance01.ova
manifest_path:
  description: The Artifact Manifest.
  returned: O(manifest=true)
  type: str
  sample: /srv/migration/web01/artifact-manifest.json
ovf_path:
  description: The OVF descriptor.
  returned: O(format=ovf)
  type: str
  sample: /srv/migration/web01/web01.ovf
mf_path:
  description: The file with the digests of the descriptor and of each file.
  returned: O(format=ovf)
  type: str
  sample: /srv/migration/web01/web01.mf
files:
  description: Every file of the export.
  returned: success, but not in check mode for an export that is to be made
  type: list
  elements: dict
  contains:
    path:
      description: Where it is.
      type: str
    size:
      description: Its size in bytes.
      type: int
    checksum:
      description: Its digest, as algorithm, colon and hexadecimal digits.
      type: str
    kind:
      description: What it is, one of V(disk), V(nvram), V(cdrom), V(descriptor), V(manifest), V(ova).
      type: str
disks:
  description: The disks, in the order in which the firmware tries to boot them.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The disk's name in the manifest.
      type: str
      sample: disk-0
    path:
      description: Its VMDK. Empty with O(format=ova).
      type: str
    size:
      description: The size of the VMDK in bytes. Not in check mode for an export that is to be made.
      type: int
    capacity:
      description: The size of the disk that the guest sees, in bytes.
      type: int
    checksum:
      description: The digest of the VMDK. Not in check mode for an export that is to be made.
      type: str
    working_copy:
      description: The raw image of the disk. Empty unless O(working_copies=true).
      type: str
    format:
      description: Always V(vmdk).
      type: str
    label:
      description: The disk's label in vSphere.
      type: str
      sample: Hard disk 1
    used:
      description: What the disk takes on its datastore, in bytes.
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
vm:
  description: What vCenter knows of the VM.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
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
    cpu:
      description: The number of virtual CPUs.
      type: int
    memory_mb:
      description: Its memory in MiB.
      type: int
    firmware:
      description: V(bios) or V(uefi).
      type: str
    secure_boot:
      description: Whether secure boot is on.
      type: bool
    guest_id:
      description: vSphere's identifier of the guest's operating system.
      type: str
      sample: debian12_64Guest
    guest_full_name:
      description: The guest's operating system, for people.
      type: str
    power_state:
      description: V(poweredOff), V(poweredOn) or V(suspended), when it was exported.
      type: str
    tools_running:
      description: Whether VMware Tools ran in it then.
      type: bool
    connection_state:
      description: Whether vCenter reaches the VM; V(connected), or what it is instead.
      type: str
    template:
      description: Whether it is a template.
      type: bool
    tpm:
      description: Whether it has a virtual TPM.
      type: bool
    encrypted:
      description: Whether vSphere encrypts its configuration.
      type: bool
    consolidation_needed:
      description: Whether files of removed snapshots are left.
      type: bool
    cdroms:
      description: The CD drives that hold an image, each with its C(label) and its C(image).
      type: list
      elements: dict
    host_devices:
      description: The labels of PCI, USB and SR-IOV devices of the ESXi host that it uses.
      type: list
      elements: str
    snapshots:
      description:
        - Its snapshots, each with its C(name), C(moid), the time at which it was C(created), and the ID of its C(parent).
      type: list
      elements: dict
    change_version:
      description: vSphere's mark of the configuration; it changes with each change.
      type: str
    vcenter_url:
      description: The vCenter.
      type: str
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
          description: The addresses that VMware Tools reported, if the guest was running or was shut down for this.
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
concerns:
  description:
    - What there was to say of the VM before the export, the gravest first, as
      M(hypersdk.hyper2kvm.vsphere_export_info) says it. Warnings are printed too.
  returned: success, and on failure where they are why
  type: list
  elements: dict
  contains:
    id:
      description: The kind of the concern.
      type: str
      sample: snapshots
    severity:
      description: V(error) for what O(ignore_concerns) names, V(warning) or V(information).
      type: str
    message:
      description: What it is.
      type: str
    action:
      description: What to do about it.
      type: str
duration:
  description: Seconds from asking for the lease to the last file in place; those of the first time, if nothing changed.
  returned: success, but not in check mode for an export that is to be made
  type: float
bytes_transferred:
  description: Bytes that were received, retries not counted.
  returned: success, but not in check mode for an export that is to be made
  type: int
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.errors import Hyper2KvmError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.export.module import run_export
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.export.request import (
    ExportRequest,
    ManifestRequest,
    SnapshotRequest,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.interrupt import signals_raise
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere import connection
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.concerns import DISPUTABLE
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.lookup import Selection
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.options import (
    connection_argument_spec,
    vm_argument_spec,
)


def argument_spec() -> dict[str, Any]:
    """Return the options of this module."""
    return {
        **connection_argument_spec(),
        **vm_argument_spec(),
        "dest": {"type": "path", "required": True},
        "format": {"type": "str", "choices": ["ovf", "ova"], "default": "ovf"},
        "compress": {"type": "bool", "default": False},
        "checksum_algorithm": {
            "type": "str",
            "choices": ["sha256", "sha1", "sha512"],
            "default": "sha256",
        },
        "parallel": {"type": "int", "default": 4},
        "host_map": {"type": "dict", "default": {}},
        "bandwidth_limit": {"type": "float", "default": 0},
        "resume": {"type": "bool", "default": True},
        "verify": {"type": "bool", "default": False},
        "working_copies": {"type": "bool", "default": False},
        "nvram": {"type": "bool", "default": True},
        "cdrom_images": {"type": "bool", "default": False},
        "stall_timeout": {"type": "int", "default": 600},
        "check_space": {"type": "bool", "default": True},
        "snapshot": {
            "type": "dict",
            "options": {
                "create": {"type": "bool", "default": False},
                "name": {"type": "str"},
                "quiesce": {"type": "bool", "default": True},
            },
        },
        "manifest": {"type": "bool", "default": False},
        "verify_manifest": {"type": "bool", "default": False},
        "manifest_checksum": {"type": "bool", "default": True},
        "manifest_target": {
            "type": "str",
            "choices": ["qcow2", "raw", "vdi"],
            "default": "qcow2",
        },
        "power_off": {"type": "bool", "default": False},
        "shutdown_timeout": {"type": "int", "default": 300},
        "force_power_off": {"type": "bool", "default": False},
        "restart_on_failure": {"type": "bool", "default": False},
        "ignore_concerns": {
            "type": "list",
            "elements": "str",
            "choices": list(DISPUTABLE),
            "default": [],
        },
    }


def export_request(options: dict[str, Any]) -> ExportRequest:
    """Return what the options ask for."""
    snapshot = options["snapshot"]
    wanted = snapshot and (snapshot["create"] or snapshot["name"])
    manifest = ManifestRequest(
        target_format=options["manifest_target"],
        checksum=options["manifest_checksum"],
        verify=options["verify_manifest"],
    )
    return ExportRequest(
        directory=Path(options["dest"]),
        checksum_algorithm=options["checksum_algorithm"],
        ova=options["format"] == "ova",
        compress=options["compress"],
        manifest=manifest if options["manifest"] else None,
        parallel=options["parallel"],
        host_map=options["host_map"],
        bandwidth_limit=options["bandwidth_limit"] * (1 << 20),
        resume=options["resume"],
        verify=options["verify"],
        working_copies=options["working_copies"],
        nvram=options["nvram"],
        cdrom_images=options["cdrom_images"],
        stall_timeout=options["stall_timeout"],
        check_space=options["check_space"],
        snapshot=SnapshotRequest(snapshot["name"], snapshot["quiesce"]) if wanted else None,
        power_off=options["power_off"],
        shutdown_timeout=options["shutdown_timeout"],
        force_power_off=options["force_power_off"],
        restart_on_failure=options["restart_on_failure"],
        ignore_concerns=tuple(options["ignore_concerns"]),
    )


def _need_jsonschema(module: AnsibleModule) -> None:
    # Only where it is needed: it takes a quarter of the time in which the module starts.
    from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest import validating

    if validating.JSONSCHEMA_IMPORT_ERROR:
        module.fail_json(
            msg=missing_required_lib(validating.JSONSCHEMA_REQUIREMENT),
            exception=validating.JSONSCHEMA_IMPORT_ERROR,
        )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=argument_spec(),
        mutually_exclusive=[("name", "uuid", "moid")],
        required_one_of=[("name", "uuid", "moid")],
        supports_check_mode=True,
    )
    if module.params["manifest"]:
        _need_jsonschema(module)
    if connection.PYVMOMI_ERROR:
        module.fail_json(msg=missing_required_lib("pyvmomi"), exception=connection.PYVMOMI_ERROR)
    options = module.params
    try:
        with signals_raise():
            result = run_export(
                connection.VCenter.from_options(options),
                Selection.from_options(options),
                export_request(options),
                check=module.check_mode,
                warn=module.warn,
            )
    except Hyper2KvmError as error:
        module.fail_json(**error.failure())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
