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
  - Boots the machine that an Artifact Manifest describes from its converted disks, on virtio disks and NICs, waits
    until it is up, and looks whether it answers at the addresses where it answered before. What the guest writes is
    thrown away, and the images are bound read-only and compared by digest before and after.
  - A machine that panics, stops in its initramfs, at GRUB's prompt or in emergency mode, that waits for a passphrase,
    that Secure Boot refuses, or whose firmware finds nothing to boot, fails at once, with the name of that state. That
    is read from its serial console, so a guest has to use that (C(console=ttyS0) on its kernel's command line). One
    that does not, such as Windows, is known to be up by O(ready=agent) or O(ready=answers); its failures are seen on
    the screenshot.
  - Each NIC of the manifest is there with its MAC address, on a network of its own that is this module itself. It
    reaches nothing else. The module plays any gateway or neighbour that the guest asks for, leases the guest the
    address that it had, where it asks by DHCP, and asks for, pings and connects to the addresses that are expected.
  - QEMU runs in a sandbox made with bubblewrap. A TPM (swtpm) has one of its own.
  - KVM is used where a trial shows that it works, QEMU's own emulation otherwise.
  - Checks that run on one host at the same time, for one user, wait for each other when memory is short.
  - The console's text, a picture of the screen, and what passed each NIC stay as evidence.
options:
  manifest:
    description:
      - Path of the Artifact Manifest. It says which firmware, CPUs, memory and NICs the machine has. Where the
        conversion has read that the guest goes by an order of its NICs, or has bound it to new MAC addresses, the
        machine has them so.
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
      - Firmware of the machine; the manifest's, or V(bios), when left out.
      - The UEFI's variables are a new copy of the distribution's template. The NVRAM file of an export is in a format
        of VMware's own that no other firmware reads, so the machine boots what it finds at
        C(\\EFI\\BOOT\\BOOTX64.EFI), as it will on its new host.
    type: str
    choices: [bios, uefi]
  secure_boot:
    description:
      - Whether Secure Boot is enforced, with the keys of Microsoft that the distribution's firmware has; what the
        manifest says, when left out. It needs UEFI and O(machine=q35).
    type: bool
  tpm:
    description:
      - Whether the machine has a TPM 2.0; what the manifest says, when left out.
      - It is new and empty. What was sealed to another one (the keys of BitLocker, or of LUKS) can't be unsealed.
    type: bool
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
  memory_timeout:
    description:
      - Seconds to wait until that much memory is free. It is not taken from what other checks of this user on this
        host may still need.
    type: int
    default: 3600
  macs:
    description: The MAC addresses of the NICs, where no manifest says them; without either there is no NIC.
    type: list
    elements: str
  ready:
    description:
      - How it is known that the machine is up.
      - V(console) is O(pattern) on its serial console.
      - V(agent) is the QEMU guest agent, which has to be installed in the guest and to answer.
      - V(answers) is that all answer that has to, see O(expect).
    type: str
    choices: [console, agent, answers]
    default: console
  pattern:
    description:
      - Regular expression of Python that is searched for in the console's text, line by line, without terminal
        escapes. It says that the machine is up, with O(ready=console).
    type: str
    default: '^\S+ login:'
  timeout:
    description:
      - Seconds to wait until the machine is up; 300 with KVM and 900 without, when left out.
    type: int
  expect:
    description:
      - Where the machine is to answer once it is up.
      - When left out, the static addresses that M(hypersdk.hyper2kvm.hyper2kvm_convert) found in the guest's
        configuration, or in the network files that the manifest's C(configuration) gave it, and for NICs without
        one, those that the manifest knows from VMware Tools. The latter have to answer if they are of IPv4; those of
        IPv6 may have been temporary.
      - An empty list expects nothing.
    type: list
    elements: dict
    suboptions:
      address:
        description:
          - The address, of IPv4 or IPv6, perhaps with its prefix length.
          - The one that O(expect[].nic) gets by DHCP, when left out.
        type: str
      prefix:
        description: Length of its network's prefix; 24 or 64 when it is said nowhere.
        type: int
      gateway:
        description: The gateway of that network. The guest is asked as from there.
        type: str
      nic:
        description:
          - The NIC that has the address, by its C(id) in the manifest or its place, counted from 0.
          - Any, when neither this nor O(expect[].mac) is given.
        type: str
      mac:
        description: The NIC that has the address, by its MAC address.
        type: str
      vlan:
        description: The VLAN in which the NIC is to have it, for a guest that tags its frames itself.
        type: int
      port:
        description:
          - A TCP port that is to accept a connection.
          - Without one, the guest has to answer a ping, or, if it lets none in, a neighbour that asks who has the
            address (ARP, neighbour discovery).
        type: int
      send:
        description: What to say first at the port.
        type: str
      pattern:
        description: Regular expression for what is to be read at the port, of which the first 4096 bytes are taken.
        type: str
      timeout:
        description: Seconds to wait once the machine is up; O(answer_timeout), when left out.
        type: int
  answer_timeout:
    description: Seconds that an address may take once the machine is up; 60 with KVM and 180 without, when left out.
    type: int
  require_answers:
    description: Whether the task fails when the machine boots, and something does not answer that has to.
    type: bool
    default: true
  evidence_dir:
    description:
      - Directory for C(console.log), C(screenshot.png), what passed each NIC (C(nic-0.pcap) and so on), and this
        module's result (C(result.json)); C(boot-check) in O(output_dir), or beside the first disk, when left out.
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
  - swtpm, for machines with a TPM
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

- name: Show that a web server answers where it answered before, and what
  hypersdk.hyper2kvm.kvm_boot_check:
    manifest: /srv/migration/web01/artifact-manifest.json
    expect:
      - address: 192.0.2.10/24
        gateway: 192.0.2.1
        port: 80
        send: "HEAD / HTTP/1.0\r\n\r\n"
        pattern: '^HTTP/1\.[01] 200 '
      - address: 2001:db8::10
        port: 22
        pattern: '^SSH-2\.0-'
  register: boot

- name: Check Windows, which has no serial console, by its remote desktop and the address that it leases
  hypersdk.hyper2kvm.kvm_boot_check:
    manifest: /srv/migration/win01/artifact-manifest.json
    ready: answers
    expect:
      - nic: nic-0
        port: 3389
    timeout: 1800
"""

RETURN = r"""
booted:
  description: Whether the machine came up, as O(ready) has it. Null in check mode.
  returned: always
  type: bool
answers:
  description: One for each address that is expected.
  returned: when the machine was started
  type: list
  elements: dict
  contains:
    address:
      description: The address; null for a DHCP guest that asked for none.
      type: str
      sample: 192.0.2.10
    port:
      description: The port that was asked for, or null.
      type: int
    nic:
      description: The NIC where it was found, or else is expected; null where that is not known.
      type: str
      sample: nic-0
    vlan:
      description: The VLAN, or null.
      type: int
    mac:
      description: The MAC address that has it, null when it was not found.
      type: str
      sample: 00:50:56:8a:10:01
    answered:
      description: Whether it answered as it is to answer.
      type: bool
    seconds:
      description: When it did, in seconds from the machine's start.
      type: float
      sample: 15.1
    by:
      description: What the answer was, V(tcp), V(ping), V(arp) or V(nd).
      type: str
      sample: tcp
    read:
      description: What was read at the port.
      type: str
      sample: "web01\n"
    reason:
      description: Why not, when it did not answer.
      type: str
      sample: nobody has this address
    source:
      description: Who expects it, V(option), V(conversion) or V(manifest).
      type: str
    required:
      description: Whether it has to answer.
      type: bool
nics:
  description: What was seen at each NIC.
  returned: when the machine was started
  type: list
  elements: dict
  contains:
    id:
      description: Its id in the manifest.
      type: str
      sample: nic-0
    mac:
      description: Its MAC address.
      type: str
      sample: 00:50:56:8a:10:01
    frames:
      description: How many frames the guest sent.
      type: int
      sample: 42
    addresses:
      description: The addresses that the guest used, announced or answered for there.
      type: list
      elements: str
      sample: ["192.0.2.10", "fe80::250:56ff:fe8a:1001"]
    vlans:
      description: The VLANs of tagged frames.
      type: list
      elements: int
    macs:
      description: The MAC addresses that it sent from.
      type: list
      elements: str
    lease:
      description: The address that it got by DHCP, with the prefix length, or null.
      type: str
      sample: null
    capture_path:
      description: What passed, at most 4 MiB, for tcpdump or Wireshark.
      type: str
      sample: /srv/migration/web01/out/boot-check/nic-0.pcap
agent:
  description: What the QEMU guest agent told, C(version), C(os) and C(addresses).
  returned: with O(ready=agent), when the machine was started
  type: dict
  sample: {"version": "7.2.22", "os": "Debian GNU/Linux 12 (bookworm)", "addresses": ["192.0.2.10"]}
memory_wait:
  description: Seconds that the check waited for memory.
  returned: when the machine was started
  type: float
  sample: 0.0
matched:
  description: What the console showed of O(pattern), empty when it did not.
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
    - Where the machine stopped, V(kernel_panic), V(initramfs), V(grub_rescue), V(grub_shell), V(grub_error),
      V(secure_boot_violation), V(emergency_mode), V(passphrase), V(no_bootable_device), V(timeout), or V(ended) when
      QEMU ended by itself.
    - V(no_answer) when it booted, and did not answer where it has to.
  returned: when the machine did not boot or does not answer
  type: str
  sample: initramfs
reason:
  description: The same in words.
  returned: when the machine did not boot or does not answer
  type: str
tail:
  description: The last lines of the console.
  returned: when the machine did not boot
  type: list
  elements: str
"""

import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.errors import Hyper2KvmError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.interrupt import signals_raise
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.boot import (
    MEMORY_TIMEOUT,
    READINESS,
    check_boot,
    find_qemu,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.console import LOGIN_PROMPT
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.errors import BootCheckError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.machine import (
    DISK_BUSES,
    MACHINES,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.plan import plan
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.tpm import find_swtpm


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
        if check.machine.tpm:
            find_swtpm()
        return {"changed": False, "booted": None}
    return {"changed": False, **check_boot(check)}


EXPECTATION = {
    "address": {"type": "str"},
    "prefix": {"type": "int"},
    "gateway": {"type": "str"},
    "nic": {"type": "str"},
    "mac": {"type": "str"},
    "vlan": {"type": "int"},
    "port": {"type": "int"},
    "send": {"type": "str"},
    "pattern": {"type": "str"},
    "timeout": {"type": "int"},
}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "manifest": {"type": "path"},
            "output_dir": {"type": "path"},
            "disks": {"type": "list", "elements": "path"},
            "firmware": {"type": "str", "choices": ["bios", "uefi"]},
            "secure_boot": {"type": "bool"},
            "tpm": {"type": "bool"},
            "machine": {"type": "str", "choices": list(MACHINES), "default": "q35"},
            "disk_bus": {"type": "str", "choices": list(DISK_BUSES), "default": "virtio-blk"},
            "cpus": {"type": "int"},
            "memory_mb": {"type": "int"},
            "memory_timeout": {"type": "int", "default": int(MEMORY_TIMEOUT)},
            "macs": {"type": "list", "elements": "str"},
            "ready": {"type": "str", "choices": list(READINESS), "default": "console"},
            "pattern": {"type": "str", "default": LOGIN_PROMPT},
            "timeout": {"type": "int"},
            "expect": {"type": "list", "elements": "dict", "options": EXPECTATION},
            "answer_timeout": {"type": "int"},
            "require_answers": {"type": "bool", "default": True},
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
