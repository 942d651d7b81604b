#!/usr/bin/python
# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_manifest_info
short_description: Read and verify the Artifact Manifest of an exported VM
version_added: "0.1.0"
description:
  - Reads an Artifact Manifest v1.0, whoever wrote it, and says everything that is wrong with it and with the files
    that it names, in one list.
  - It checks the document against the contract; that each disk's file exists, is a regular file and has the size, the
    format and the capacity that the manifest says; that it is there as far as its own tables and markers reach, a
    stream-optimized VMDK to its end-of-stream marker; its SHA-256; and that manifest, the OVF's C(.mf) and its
    descriptor agree.
  - How far the reading of the disks is, is shown while it runs.
extends_documentation_fragment:
  - hypersdk.hyper2kvm.attributes
  - hypersdk.hyper2kvm.attributes.info_module
author:
  - The hypersdk.hyper2kvm authors (@hypersdk)
requirements:
  - jsonschema >= 4.0, on the host where the module runs
options:
  path:
    description:
      - The manifest's file.
    type: path
    required: true
  verify_checksums:
    description:
      - Read every disk, several at a time, and compute the digests that the manifest and the C(.mf) have of it. While a
        stream-optimized VMDK is read, its tables are held against its grains.
      - With V(false) only headers, tables and markers are looked at. That takes no time however large the disks are, and
        shows a file that was cut off, but not a byte that was changed.
    type: bool
    default: true
  fail_on_error:
    description:
      - Fail the task when there is a finding of severity V(error). The findings are in the result either way.
    type: bool
    default: true
seealso:
  - module: hypersdk.hyper2kvm.artifact_manifest
"""

EXAMPLES = r"""
- name: Verify an export before it is converted
  hypersdk.hyper2kvm.artifact_manifest_info:
    path: /srv/migrate/web01/artifact-manifest.json

- name: Look at a manifest without reading the disks
  hypersdk.hyper2kvm.artifact_manifest_info:
    path: /srv/migrate/web01/artifact-manifest.json
    verify_checksums: false
    fail_on_error: false
  register: web01

- name: Show what is wrong with it
  ansible.builtin.debug:
    msg: "{{ item.severity }}: {{ item.message }} {{ item.action }}"
  loop: "{{ web01.findings }}"
"""

RETURN = r"""
path:
  description: The manifest's file.
  returned: always
  type: str
  sample: /srv/migrate/web01/artifact-manifest.json
manifest:
  description: The manifest; password hashes are not shown.
  returned: when the file holds a JSON object
  type: dict
  sample:
    manifest_version: "1.0"
valid:
  description: Whether there is no finding of severity V(error).
  returned: always
  type: bool
  sample: false
findings:
  description: Everything that is wrong, errors and warnings.
  returned: always
  type: list
  elements: dict
  contains:
    severity:
      description: V(error) when the disks must not be converted, V(warning) otherwise.
      returned: always
      type: str
      sample: error
    path:
      description: The field in the manifest; empty for the whole of it.
      returned: always
      type: str
      sample: disks[0].bytes
    message:
      description: What is wrong.
      returned: always
      type: str
      sample: disks[0].bytes is 1073741824, and the file /srv/migrate/web01/web01-disk1.vmdk has 1073741312.
    action:
      description: What to do about it.
      returned: always
      type: str
      sample: "The file was changed or cut off since the export: export the VM again."
checksums:
  description: The SHA-256 that was computed of each disk, by the disk's id.
  returned: always
  type: dict
  sample:
    disk-0: sha256:c0535e4be2b79ffd93291305436bf889314e4a3faec05ecffcbb7df31ad9e51a
"""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.errors import Hyper2KvmError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.interrupt import signals_raise
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.checksums import (
    progress_shown,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.findings import (
    ManifestError,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.validating import (
    JSONSCHEMA_IMPORT_ERROR,
    JSONSCHEMA_REQUIREMENT,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.verifying import verify
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.progress_file import (
    FILE_NAME as PROGRESS_FILE,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "verify_checksums": {"type": "bool", "default": True},
            "fail_on_error": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    if JSONSCHEMA_IMPORT_ERROR is not None:
        module.fail_json(
            msg=missing_required_lib(JSONSCHEMA_REQUIREMENT), exception=JSONSCHEMA_IMPORT_ERROR
        )
    path = Path(os.path.abspath(module.params["path"]))
    try:
        with signals_raise(), ExitStack() as stack:
            on_progress = None
            if module.params["verify_checksums"]:
                progress_path = Path(module.tmpdir) / PROGRESS_FILE
                on_progress = stack.enter_context(progress_shown(progress_path, "verifying"))
            verdict = verify(
                path, checksums=module.params["verify_checksums"], on_progress=on_progress
            )
    except Hyper2KvmError as error:
        module.fail_json(**error.failure())
    module.no_log_values.update(verdict.secrets)
    result: dict[str, Any] = {
        "path": str(path),
        "valid": verdict.valid,
        "findings": [finding.as_dict() for finding in verdict.findings],
        "checksums": verdict.checksums,
    }
    if verdict.document is not None:
        result["manifest"] = verdict.document
    if module.params["fail_on_error"] and not verdict.valid:
        module.fail_json(msg=str(ManifestError.of(path, verdict.findings)), **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
