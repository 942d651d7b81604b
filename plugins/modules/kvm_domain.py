#!/usr/bin/python
# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Define a migrated machine in libvirt, or undo that."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kvm_domain
short_description: Define a migrated machine in libvirt, or undo that
version_added: "0.1.0"
author:
  - The hypersdk.hyper2kvm authors (@hypersdk)
description:
  - Defines the machine that an Artifact Manifest describes as a domain of libvirt, with the firmware, CPUs, memory and
    NICs that it had, and with its converted disks on virtio. C(virt-install) makes the XML, with what libosinfo knows
    of the guest's operating system.
  - Everything is looked at first. A network without a counterpart, a name that another domain has, or a pool that is
    full fails before anything is touched.
  - NICs are attached in the manifest's order, or in that in which a guest with the kernel's own names (C(eth0)) must
    find them, as the conversion has read it.
  - Says nothing of whether the domain runs or starts with its host; that is
    M(community.libvirt.virt)'s to manage.
  - The domain bears a mark in its metadata. One without it, or with another VM's, is never changed.
  - C(domain.json) in the VM's directory says that its disks belong to a domain now. The role
    P(hypersdk.hyper2kvm.migrate#role) converts nothing anew as long as it is there.
options:
  manifest:
    description: Path of the Artifact Manifest. Its directory is the VM's.
    type: path
    required: true
  state:
    description:
      - V(present) defines the domain. One that was defined with the same options is left as it is, edited or not.
      - V(absent) stops the domain and removes its definition with its NVRAM, TPM, and snapshots' metadata, and undoes
        what O(placement) did. Exported files, the manifest and the evidence in C(out) stay.
    type: str
    choices: [present, absent]
    default: present
  name:
    description: The domain's name; the VM's, when left out.
    type: str
  uri:
    description: libvirt's connection URI.
    type: str
    default: qemu:///system
  output_dir:
    description:
      - Directory of the converted disks and C(conversion.json); C(out) beside the manifest, when left out.
    type: path
  network_map:
    description:
      - What takes the place of each network of vSphere that the VM has a NIC on. The key is the network's name, or
        V(*) for all that have no key.
      - A value is the name of a network of libvirt, or a dictionary with one of the keys C(network) (a network of
        libvirt), C(bridge) (a bridge of the host) and C(user) (V(true); QEMU's own network, for trials), and
        optionally C(link), V(up) or V(down), a cable that is not plugged in yet.
    type: dict
    default: {}
  mac_policy:
    description:
      - V(keep) gives every NIC the MAC address that it had in vSphere.
      - V(new) gives it one of QEMU's range, always the same one for the same domain and NIC. Convert with the same
        O(hypersdk.hyper2kvm.hyper2kvm_convert#module:mac_policy), so that the guest is bound to these; a conversion
        that was not is a warning, and one that was with V(keep) here an error.
    type: str
    choices: [keep, new]
    default: keep
  placement:
    description:
      - V(in_place) uses the converted disks where they are.
      - V(move) moves them into O(pool), V(copy) copies them there. Their names begin with the domain's.
    type: str
    choices: [in_place, move, copy]
    default: in_place
  pool:
    description: An active storage pool of type dir, fs or netfs, for V(move) and V(copy).
    type: str
  uuid:
    description:
      - The domain's UUID, which the guest sees as its SMBIOS UUID.
      - When left out, the VM's BIOS UUID where the manifest has it, or else one that is made of the VM's name and id.
    type: str
  firmware:
    description: Firmware of the machine; the manifest's, or V(bios), when left out.
    type: str
    choices: [bios, uefi]
  secure_boot:
    description:
      - Whether UEFI checks signatures, with the keys that the firmware's distributor enrolled; as the manifest says,
        when left out.
    type: bool
  tpm:
    description: Whether the machine has an emulated TPM 2.0. It is a new one and holds nothing of the old one.
    type: bool
    default: false
  cpus:
    description: Number of virtual CPUs; the manifest's, when left out.
    type: int
  memory_mb:
    description: Memory in MiB; the manifest's, when left out.
    type: int
  cpu_model:
    description: The CPU, as the option C(--cpu) of virt-install takes it, such as V(host-model).
    type: str
  disk_bus:
    description: How the disks are attached. V(scsi) is virtio-scsi.
    type: str
    choices: [virtio, scsi, sata]
    default: virtio
  osinfo:
    description:
      - libosinfo's name of the guest's operating system, such as V(debian12). Found by vSphere's identifier, when left
        out; a system that the host's database does not know gets the devices of its newest predecessor there.
    type: str
  virt_type:
    description:
      - V(kvm), or V(qemu) for QEMU's own emulation, which is many times slower.
      - When left out, V(kvm) where a trial shows that it works, and V(qemu) with a warning otherwise.
    type: str
    choices: [kvm, qemu]
requirements:
  - libvirt and its Python binding (C(python3-libvirt))
  - virt-install 4.0 or newer
  - OVMF, for UEFI machines
  - swtpm, for O(tpm=true)
extends_documentation_fragment:
  - hypersdk.hyper2kvm.attributes
attributes:
  check_mode:
    support: full
    details:
      - Looks at libvirt and the images, and renders the XML.
  diff_mode:
    support: full
  idempotent:
    support: full
notes:
  - With another host's URI, such as C(qemu+ssh://kvm01/system), the disks stay in place, on storage that both see.
seealso:
  - module: hypersdk.hyper2kvm.kvm_boot_check
  - module: community.libvirt.virt
  - name: Defining the domain
    description: Networks, MAC addresses, storage pools and the way back.
    link: https://github.com/hypersdk/ansible-hyper2kvm/tree/main/docs/domain.md
"""

EXAMPLES = r"""
- name: Define the migrated machine
  hypersdk.hyper2kvm.kvm_domain:
    manifest: /srv/migration/web01/artifact-manifest.json
    network_map:
      VM Network: lan
      DMZ:
        bridge: br-dmz
    placement: move
    pool: default
  register: domain

- name: Start it, now and whenever its host starts
  community.libvirt.virt:
    name: "{{ domain.name }}"
    state: running
    autostart: true

- name: Undo it
  hypersdk.hyper2kvm.kvm_domain:
    manifest: /srv/migration/web01/artifact-manifest.json
    state: absent
"""

RETURN = r"""
name:
  description: The domain's name.
  returned: success
  type: str
  sample: web01
uuid:
  description: Its UUID, empty when there was none.
  returned: success
  type: str
  sample: 421e6a1c-9f0d-5b7e-9c4f-8f9e4cfb9f10
active:
  description: Whether it runs. Of a running one, what has changed holds from its next start on.
  returned: success
  type: bool
virt_type:
  description: V(kvm), or V(qemu) for QEMU's own emulation.
  returned: when O(state=present)
  type: str
  sample: kvm
edited:
  description: Whether somebody has edited the definition since it was made.
  returned: when O(state=present)
  type: bool
disks:
  description: Its disks.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The disk's id in the manifest.
      type: str
      sample: disk-0
    source:
      description: The converted image.
      type: str
      sample: /srv/migration/web01/out/disk-0.qcow2
    path:
      description: The image that the domain uses, or used.
      type: str
      sample: /var/lib/libvirt/images/web01-disk-0.qcow2
    format:
      description: The image's format.
      type: str
      sample: qcow2
    boots:
      description: Whether the domain boots from it.
      type: bool
nics:
  description: Its NICs, in the order in which they are attached.
  returned: when O(state=present)
  type: list
  elements: dict
  contains:
    id:
      description: The NIC's id in the manifest.
      type: str
      sample: nic-0
    source_network:
      description: Its network in vSphere.
      type: str
      sample: VM Network
    source_mac:
      description: Its MAC address in vSphere.
      type: str
      sample: 00:50:56:8a:01:02
    mac:
      description: Its MAC address now.
      type: str
      sample: 00:50:56:8a:01:02
    attachment:
      description: Where it is plugged in, C(kind), C(name) and C(link).
      type: dict
      sample: {kind: network, name: lan, link: up}
bound_names:
  description: Interfaces that the conversion bound to MAC addresses that the domain does not have.
  returned: with O(mac_policy=new), when the conversion was made for the old ones
  type: list
  elements: str
xml:
  description: The domain's definition, in check mode what it would be made of.
  returned: when O(state=present)
  type: str
unmapped_networks:
  description: The networks of vSphere that O(network_map) lacks.
  returned: when that is why it failed
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.errors import Hyper2KvmError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.interrupt import signals_raise
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.hypervisor import (
    LIBVIRT_ERROR,
    Hypervisor,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.identity import (
    KEEP,
    MAC_POLICIES,
    NEW,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.networks import (
    bound_names,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.request import (
    DISK_BUSES,
    IN_PLACE,
    PLACEMENTS,
    VIRT_TYPES,
    request_of,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.state import (
    define,
    undefine,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.recorded import (
    recorded_network,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.document import load


def run(parameters: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return the module's result."""
    manifest_path = Path(parameters["manifest"]).resolve()
    directory = manifest_path.parent
    document = load(manifest_path)
    present = parameters["state"] == "present"
    output_directory = Path(parameters["output_dir"] or directory / "out").resolve()
    converted = recorded_network(output_directory)
    # What the manifest and the options make together is settled before libvirt is asked.
    request = request_of(document, directory, parameters, converted) if present else None
    with Hypervisor(parameters["uri"]) as hypervisor:
        if request is not None:
            outcome = define(request, document, output_directory, hypervisor, check_mode=check_mode)
        else:
            name = parameters["name"] or document.get("source", {}).get("vm_name")
            outcome = undefine(name or directory.name, directory, hypervisor, check_mode=check_mode)
    result = {"changed": outcome.changed, **outcome.facts}
    if request is not None:
        result["xml"] = outcome.after
        if parameters["mac_policy"] == NEW and bound_names(converted):
            result["bound_names"] = bound_names(converted)
    if outcome.before != outcome.after:
        result["diff"] = {
            "before": outcome.before,
            "after": outcome.after,
            "before_header": "domain before",
            "after_header": "domain after",
        }
    return result


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "manifest": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "name": {"type": "str"},
            "uri": {"type": "str", "default": "qemu:///system"},
            "output_dir": {"type": "path"},
            "network_map": {"type": "dict", "default": {}},
            "mac_policy": {"type": "str", "choices": list(MAC_POLICIES), "default": KEEP},
            "placement": {"type": "str", "choices": list(PLACEMENTS), "default": IN_PLACE},
            "pool": {"type": "str"},
            "uuid": {"type": "str"},
            "firmware": {"type": "str", "choices": ["bios", "uefi"]},
            "secure_boot": {"type": "bool"},
            "tpm": {"type": "bool", "default": False},
            "cpus": {"type": "int"},
            "memory_mb": {"type": "int"},
            "cpu_model": {"type": "str"},
            "disk_bus": {"type": "str", "choices": list(DISK_BUSES), "default": "virtio"},
            "osinfo": {"type": "str"},
            "virt_type": {"type": "str", "choices": list(VIRT_TYPES)},
        },
        required_if=[("placement", "move", ["pool"]), ("placement", "copy", ["pool"])],
        supports_check_mode=True,
    )
    if LIBVIRT_ERROR is not None:
        module.fail_json(
            msg=missing_required_lib(
                "libvirt-python", reason="It is the distribution's python3-libvirt."
            ),
            exception=LIBVIRT_ERROR,
        )
    try:
        with signals_raise():
            result = run(module.params, module.check_mode)
    except Hyper2KvmError as error:
        module.fail_json(**error.failure())
    if result.get("virt_type") == "qemu" and module.params["virt_type"] is None:
        module.warn(
            f"KVM does not work here: the domain {result['name']} is emulated by QEMU, and slow."
        )
    if result.get("bound_names"):
        module.warn(
            f"The conversion bound {', '.join(result['bound_names'])} in the guest to the MAC addresses"
            " that its NICs had, and the domain's are new. Convert with mac_policy: new first."
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
