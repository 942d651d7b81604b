#!/usr/bin/python
# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Boot a converted machine under QEMU, without writing to its disks."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kvm_boot_check
short_description: Show that a converted machine boots under QEMU
version_added: "0.1.0"
author:
  - The hypersdk.hyper2kvm authors (@hypersdk)
description:
  - Boots the machine that an Artifact Manifest describes from its converted disks, on virtio disks and NICs, and
    watches its serial console until it asks for a login. What the guest writes is thrown away, and the images are
    bound read-only and compared by digest before and after.
  - A machine that panics, stops in its initramfs, at GRUB's prompt or in emergency mode, or whose firmware finds
    nothing to boot, fails at once, with the name of that state.
  - The guest has to use its serial console (C(console=ttyS0) on its kernel's command line).
  - QEMU runs in a sandbox made with bubblewrap, without a network; the NICs reach nothing.
  - KVM is used where a trial shows that it works, QEMU's own emulation otherwise.
  - The console's text and a picture of the screen stay as evidence.
options:
  manifest:
    description:
      - Path of the Artifact Manifest. It says which firmware, CPUs, memory and NICs the machine has.
      - The disks are those that M(hypersdk.hyper2kvm.hyper2kvm_convert) recorded in C(conversion.json), unless
        O(disks) names others.
    type: path
  output_dir:
    description:
      - Directory of the converted disks and C(conversion.json); C(out) beside the manifest, when left out.
    type: path
  disks:
    description:
      - Disk images in the order in which they are attached, the boot disk first.
      - The format is told by the name, never by the content, so a name ends in C(.qcow2), C(.raw), C(.img),
        C(.vdi), C(.vmdk), C(.vhd) or C(.vhdx).
    type: list
    elements: path
  firmware:
    description:
      - Firmware of the machine; the manifest's, or V(bios), when left out. Secure Boot is not switched on.
    type: str
    choices: [bios, uefi]
  machine:
    description: QEMU's machine type.
    type: str
    choices: [q35, pc]
    default: q35
  disk_bus:
    description: How the disks are attached.
    type: str
    choices: [virtio-blk, virtio-scsi]
    default: virtio-blk
  cpus:
    description: Number of CPUs; the manifest's, at most those of this host, when left out.
    type: int
  memory_mb:
    description: Memory in MiB; the manifest's, at most 4096, when left out.
    type: int
  pattern:
    description:
      - Regular expression of Python that is searched for in the console's text, line by line, without terminal
        escapes. It says that the machine is up.
    type: str
    default: '^\S+ login:'
  timeout:
    description:
      - Seconds to wait for O(pattern); 300 with KVM and 900 without, when left out.
    type: int
  evidence_dir:
    description:
      - Directory for C(console.log) and C(screenshot.png); C(boot-check) in O(output_dir), or beside the first disk,
        when left out.
    type: path
  isolation:
    description:
      - V(bubblewrap) runs QEMU in a sandbox.
      - V(none) runs it without, for places where no namespace can be made. A guest that breaks out of QEMU is then
        on the conversion host, with the rights of the user that the module runs as.
    type: str
    choices: [bubblewrap, none]
    default: bubblewrap
requirements:
  - QEMU 7.1 or newer for x86-64
  - OVMF, for UEFI machines
  - bubblewrap
extends_documentation_fragment:
  - hypersdk.hyper2kvm.attributes
attributes:
  check_mode:
    support: partial
    details:
      - Looks for the images, the firmware and QEMU, and boots nothing; RV(booted) is then null.
  diff_mode:
    support: none
  idempotent:
    support: full
    details:
      - Changes nothing but its own evidence. It boots the machine each time.
seealso:
  - module: hypersdk.hyper2kvm.hyper2kvm_convert
"""

EXAMPLES = r"""
- name: Show that the converted machine boots
  hypersdk.hyper2kvm.kvm_boot_check:
    manifest: /srv/migration/web01/artifact-manifest.json
  vars:
    ansible_python_interpreter: /opt/hyper2kvm/bin/python3
  register: boot

- name: Boot images by hand, on UEFI and virtio-scsi, until an application is ready
  hypersdk.hyper2kvm.kvm_boot_check:
    disks:
      - /srv/images/db01/disk-0.qcow2
      - /srv/images/db01/disk-1.qcow2
    firmware: uefi
    disk_bus: virtio-scsi
    pattern: 'Started PostgreSQL'
    timeout: 1200
"""

RETURN = r"""
booted:
  description: Whether the console showed RV(matched). Null in check mode.
  returned: always
  type: bool
answers:
  description: Addresses that answered. Empty until addresses can be asked for.
  returned: when the machine was started
  type: list
  elements: dict
matched:
  description: What the console showed.
  returned: when the machine was started
  type: str
  sample: "web01 login:"
console_path:
  description: The console's text, at most 16 MiB of it.
  returned: when the machine was started
  type: str
  sample: /srv/migration/web01/out/boot-check/console.log
screenshot_path:
  description: A picture of the screen at the end, null when there is none.
  returned: when the machine was started
  type: str
  sample: /srv/migration/web01/out/boot-check/screenshot.png
seconds:
  description: Seconds from the machine's start until it was up, or until it had failed.
  returned: when the machine was started
  type: float
  sample: 14.2
accelerator:
  description: V(kvm), or V(tcg) where KVM does not work.
  returned: when the machine was started
  type: str
  sample: kvm
images:
  description: The disks, each found to have the same digest, size and modification time before and after.
  returned: when the machine was started
  type: list
  elements: dict
  contains:
    path:
      description: The image.
      type: str
      sample: /srv/migration/web01/out/disk-0.qcow2
    checksum:
      description: Its SHA-256.
      type: str
      sample: sha256:2b9c8dc3ea2c7e4ce0b4b3e6f6b3d0a44a4d54ab40a5b6cbe5d2a6e6aa9f1c11
    unchanged:
      description: Whether it is the same as before.
      type: bool
isolation:
  description: How QEMU was run.
  returned: when the machine was started
  type: str
  sample: bubblewrap
state:
  description:
    - Where the machine stopped, V(kernel_panic), V(initramfs), V(grub_rescue), V(grub_shell), V(emergency_mode),
      V(no_bootable_device), V(timeout), or V(ended) when QEMU ended by itself.
  returned: when the machine did not boot
  type: str
  sample: initramfs
reason:
  description: The same in words.
  returned: when the machine did not boot
  type: str
tail:
  description: The last lines of the console.
  returned: when the machine did not boot
  type: list
  elements: str
"""

import re
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.errors import Hyper2KvmError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.interrupt import signals_raise
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.boot import (
    Check,
    check_boot,
    find_qemu,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.console import LOGIN_PROMPT
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.disks import (
    converted_disks,
    given_disks,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.errors import BootCheckError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.firmware import find_uefi
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.machine import (
    DISK_BUSES,
    MACHINES,
    Machine,
    described_cpus,
    described_macs,
    described_memory,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.document import load


def plan(parameters: dict[str, Any]) -> Check:
    """Return the check that the parameters describe."""
    document: dict[str, Any] = {}
    output_directory = Path(parameters["output_dir"]) if parameters["output_dir"] else None
    if parameters["manifest"]:
        manifest_path = Path(parameters["manifest"]).resolve()
        document = load(manifest_path)
        output_directory = output_directory or manifest_path.parent / "out"
    boot_index = 0
    if parameters["disks"]:
        disks = given_disks([Path(path) for path in parameters["disks"]])
    elif output_directory is None or not document:
        raise BootCheckError("Neither a manifest nor disks are given.", action="Give one of them.")
    else:
        disks, boot_index = converted_disks(document, output_directory)
    firmware = parameters["firmware"] or document.get("vm", {}).get("firmware", "bios")
    evidence = (
        parameters["evidence_dir"] or (output_directory or disks[0].path.parent) / "boot-check"
    )
    return Check(
        machine=Machine(
            disks=disks,
            boot_index=boot_index,
            machine=parameters["machine"],
            disk_bus=parameters["disk_bus"],
            uefi=find_uefi() if firmware == "uefi" else None,
            cpus=parameters["cpus"] or described_cpus(document),
            memory_mb=parameters["memory_mb"] or described_memory(document),
            macs=described_macs(document),
        ),
        evidence=Path(evidence).resolve(),
        pattern=parameters["pattern"],
        timeout=parameters["timeout"],
        isolation=parameters["isolation"],
    )


def run(parameters: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return the module's result."""
    try:
        re.compile(parameters["pattern"])
    except re.error as error:
        raise BootCheckError(
            f"The pattern {parameters['pattern']!r} is no regular expression: {error}."
        ) from error
    check = plan(parameters)
    if check_mode:
        find_qemu()
        return {"changed": False, "booted": None}
    return {"changed": False, **check_boot(check)}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "manifest": {"type": "path"},
            "output_dir": {"type": "path"},
            "disks": {"type": "list", "elements": "path"},
            "firmware": {"type": "str", "choices": ["bios", "uefi"]},
            "machine": {"type": "str", "choices": list(MACHINES), "default": "q35"},
            "disk_bus": {"type": "str", "choices": list(DISK_BUSES), "default": "virtio-blk"},
            "cpus": {"type": "int"},
            "memory_mb": {"type": "int"},
            "pattern": {"type": "str", "default": LOGIN_PROMPT},
            "timeout": {"type": "int"},
            "evidence_dir": {"type": "path"},
            "isolation": {
                "type": "str",
                "choices": ["bubblewrap", "none"],
                "default": "bubblewrap",
            },
        },
        required_one_of=[("manifest", "disks")],
        supports_check_mode=True,
    )
    try:
        with signals_raise():
            result = run(module.params, module.check_mode)
    except Hyper2KvmError as error:
        module.fail_json(**error.failure())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
