#!/usr/bin/python
# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_manifest
short_description: Write the Artifact Manifest of an exported VM
version_added: "0.1.0"
description:
  - Writes the JSON file that says what was exported from a VM, how to check it and what hyper2kvm is to do with it,
    the Artifact Manifest v1.0 of hypersdk and hyper2kvm.
  - It is built from the result of M(hypersdk.hyper2kvm.vsphere_ovf_export), from an OVF or OVA of any product,
    or from a plain list of disks. Every field of the contract is an option, and wins over what the source says.
  - The manifest is checked against the contract's JSON Schema before it is written, and against the rules by which
    hyper2kvm would otherwise do something else than it is told without saying so.
  - A run that would write the same manifest again changes nothing; the times in it are those of the first run.
extends_documentation_fragment:
  - hypersdk.hyper2kvm.artifact_manifest
  - hypersdk.hyper2kvm.attributes
  - ansible.builtin.files
author:
  - The hypersdk.hyper2kvm authors (@hypersdk)
requirements:
  - jsonschema >= 4.0, on the host where the module runs
attributes:
  check_mode:
    support: full
    details:
      - Disks that are not there yet are accepted in check mode.
  diff_mode:
    support: full
    details:
      - Password hashes are not shown.
  idempotent:
    support: full
options:
  path:
    description:
      - The manifest's file. Its name is C(artifact-manifest.json) by convention, in the directory of the VM.
    type: path
    required: true
  state:
    description:
      - V(present) writes the manifest, V(absent) removes it.
    type: str
    choices: [present, absent]
    default: present
  export:
    description:
      - What M(hypersdk.hyper2kvm.vsphere_ovf_export) returned, as it is.
      - At most one of O(export), O(ovf) and O(disks). With none of them the manifest must exist, and the fields that
        are given are changed in it.
    type: dict
  ovf:
    description:
      - An OVF descriptor or an OVA, of any product. The disks are looked for beside the descriptor.
      - The disks of an OVA are unpacked beside it first; see O(ovf_directory).
    type: path
  ovf_directory:
    description:
      - Directory that an OVA is unpacked into; the OVA's own directory and name without C(.ova) by default.
    type: path
  disks:
    description:
      - Disks that were exported by other means, such as an AWS VMDK, an Azure VHD or a GCP raw image.
    type: list
    elements: dict
    suboptions:
      path:
        description:
          - The disk's file.
        type: path
        required: true
        aliases: [local_path]
      id:
        description:
          - Name of the disk within the manifest; C(disk-0), C(disk-1) and so on by default.
        type: str
      source_format:
        description:
          - Format of the file. It is told by the file's content; one that differs is an error.
        type: str
        choices: [vmdk, qcow2, raw, vhd, vhdx, vdi]
        aliases: [format]
      checksum:
        description:
          - The file's SHA-256 where it is known, as C(sha256:) and 64 hexadecimal digits; computed otherwise.
        type: str
      boot_order_hint:
        description:
          - Place in the boot order. The disk with the lowest boots, the first one by default.
        type: int
      label:
        description:
          - Name of the disk for people.
        type: str
      controller:
        description:
          - Controller that the disk hung on.
        type: str
      unit_number:
        description:
          - Number of the disk on its controller.
        type: int
  boot_disk:
    description:
      - Id of the disk that boots, where the source doesn't say it or says it wrongly.
    type: str
  target_format:
    description:
      - Format of the converted images, V(qcow2) by default; the same as O(output.format).
    type: str
    choices: [qcow2, raw, vdi]
  checksum:
    description:
      - Write the SHA-256 of every disk. It is taken from the export, from the OVF's C(.mf), or from the manifest that
        is there when the file was not touched since, and computed otherwise.
    type: bool
    default: true
  merge:
    description:
      - Keep the fields of a manifest that is already there where neither an option nor the source says anything else.
        By default the manifest holds what the options and the source say, and nothing more.
    type: bool
    default: false
  backup:
    description:
      - Keep a copy of a manifest that is changed or removed, beside it.
    type: bool
    default: false
seealso:
  - module: hypersdk.hyper2kvm.artifact_manifest_info
  - module: hypersdk.hyper2kvm.vsphere_ovf_export
  - module: hypersdk.hyper2kvm.hyper2kvm_convert
"""

EXAMPLES = r"""
- name: Export a VM
  hypersdk.hyper2kvm.vsphere_ovf_export:
    hostname: vcenter.example.com
    username: migration@vsphere.local
    password: "{{ vcenter_password }}"
    name: web01
    dest: /srv/migrate/web01
  register: exported

- name: Write its manifest
  hypersdk.hyper2kvm.artifact_manifest:
    path: /srv/migrate/web01/artifact-manifest.json
    export: "{{ exported }}"

- name: Write the manifest of a VM that ovftool exported, with an account for after the migration
  hypersdk.hyper2kvm.artifact_manifest:
    path: /srv/migrate/db01/artifact-manifest.json
    ovf: /srv/migrate/db01/db01.ovf
    pipeline:
      fix:
        remove_vmware_tools: true
    configuration:
      hostname:
        hostname: db01
        domain: example.com
      users:
        users:
          - name: rescue
            password_hash: "{{ rescue_password | password_hash('sha512', rescue_salt) }}"
            ssh_keys:
              - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2 admin@example.com
            sudo: ALL=(ALL) NOPASSWD:ALL
  no_log: true

- name: Write the manifest of two disks that came from Azure
  hypersdk.hyper2kvm.artifact_manifest:
    path: /srv/migrate/app01/artifact-manifest.json
    disks:
      - path: /srv/migrate/app01/os.vhd
      - path: /srv/migrate/app01/data.vhd
    source:
      provider: azure
      vm_name: app01
    vm:
      cpu: 2
      mem_gb: 8
      firmware: uefi
      os_hint: linux
    metadata:
      azure:
        resource_group: apps
        location: westeurope

- name: Convert to raw images instead, and change nothing else
  hypersdk.hyper2kvm.artifact_manifest:
    path: /srv/migrate/web01/artifact-manifest.json
    target_format: raw
    backup: true
"""

RETURN = r"""
path:
  description: The manifest's file.
  returned: success
  type: str
  sample: /srv/migrate/web01/artifact-manifest.json
manifest:
  description: The manifest as it is in the file, or would be in check mode. Password hashes are not shown.
  returned: when O(state=present)
  type: dict
  sample:
    manifest_version: "1.0"
    source:
      provider: vsphere
      vm_id: vm-1234
      vm_name: web01
    disks:
      - id: disk-0
        source_format: vmdk
        bytes: 1073741824
        local_path: /srv/migrate/web01/web01-disk1.vmdk
        checksum: sha256:c0535e4be2b79ffd93291305436bf889314e4a3faec05ecffcbb7df31ad9e51a
        boot_order_hint: 0
        disk_type: boot
findings:
  description: What a manifest that may be used is nevertheless doubtful for; each as RV(hypersdk.hyper2kvm.artifact_manifest_info#module:findings) has it.
  returned: when O(state=present)
  type: list
  elements: dict
  sample: []
backup_file:
  description: Copy of the manifest as it was before.
  returned: when O(backup=true) and the manifest was changed or removed
  type: str
  sample: /srv/migrate/web01/artifact-manifest.json.4711.2026-01-21@20:00:00~
"""

import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.errors import Hyper2KvmError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.interrupt import signals_raise
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.arguments import (
    DISK_OPTIONS,
    contract_options,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.checksums import (
    progress_shown,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.sources import (
    request_from,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.state import (
    make_absent,
    make_present,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.validating import (
    JSONSCHEMA_IMPORT_ERROR,
    JSONSCHEMA_REQUIREMENT,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.progress_file import (
    FILE_NAME as PROGRESS_FILE,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "export": {"type": "dict"},
            "ovf": {"type": "path"},
            "ovf_directory": {"type": "path"},
            "disks": {"type": "list", "elements": "dict", "options": DISK_OPTIONS},
            "boot_disk": {"type": "str"},
            "target_format": {"type": "str", "choices": ["qcow2", "raw", "vdi"]},
            "checksum": {"type": "bool", "default": True},
            "merge": {"type": "bool", "default": False},
            "backup": {"type": "bool", "default": False},
            **contract_options(),
        },
        mutually_exclusive=[("export", "ovf", "disks")],
        required_by={"ovf_directory": ["ovf"]},
        add_file_common_args=True,
        supports_check_mode=True,
    )
    if JSONSCHEMA_IMPORT_ERROR is not None:
        module.fail_json(
            msg=missing_required_lib(JSONSCHEMA_REQUIREMENT), exception=JSONSCHEMA_IMPORT_ERROR
        )
    path = Path(os.path.abspath(module.params["path"]))
    try:
        with signals_raise():
            request = request_from(module.params, path, check_mode=module.check_mode)
            if module.params["state"] == "present":
                progress_path = Path(module.tmpdir) / PROGRESS_FILE
                with progress_shown(progress_path, "computing checksums") as on_progress:
                    outcome = make_present(request, on_progress)
            else:
                outcome = make_absent(request)
    except Hyper2KvmError as error:
        module.fail_json(**error.failure())
    # Hashes that only the file holds must not be shown either.
    module.no_log_values.update(outcome.secrets)
    result: dict[str, Any] = {"changed": outcome.changed, "path": str(path)}
    if outcome.document is not None:
        result["manifest"] = outcome.document
        result["findings"] = [finding.as_dict() for finding in outcome.findings]
        arguments = module.load_file_common_arguments(module.params, path=str(path))
        result["changed"] = module.set_fs_attributes_if_different(arguments, outcome.changed)
    if outcome.backup_file:
        result["backup_file"] = outcome.backup_file
    if module._diff:
        result["diff"] = {
            "before": outcome.before,
            "before_header": str(path),
            "after": outcome.after,
            "after_header": str(path),
        }
    module.exit_json(**result)


if __name__ == "__main__":
    main()
