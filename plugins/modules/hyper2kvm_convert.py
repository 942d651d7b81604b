#!/usr/bin/python
# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Convert exported disks with hyper2kvm, on copies, in a sandbox, and look at the result."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hyper2kvm_convert
short_description: Convert an exported VM's disks with hyper2kvm, and check the result
version_added: "0.1.0"
author:
  - The hypersdk.hyper2kvm authors (@hypersdk)
description:
  - Runs C(hyper2kvm --manifest) on disposable writable copies of the disks that an Artifact Manifest names.
    The exported files are bound read-only and keep their digests.
  - hyper2kvm reports success also for disks that it could not fix, since an exported VMDK can't be written in place.
    So its word is not taken for it. The conversion fails when a stage is missing or failed, when its log tells of an
    edit that failed, when FIX wrote nothing to the boot disk's copy, when an output is missing, fails
    C(qemu-img check) or has another size than its source, and when a data disk's content differs.
  - Whatever opens a guest's disk runs in a sandbox made with bubblewrap. It sees no disk of the conversion host, no
    network, and may write only its own working directories; what it started is gone when it ends.
  - Run it on the conversion host, with the Python that the role P(hypersdk.hyper2kvm.conversion_host#role) prepares
    in E(ansible_python_interpreter).
options:
  manifest:
    description:
      - Path of the Artifact Manifest, usually C(artifact-manifest.json) in the VM's directory.
      - The working copies are made in C(work) beside it, and removed in the end.
    type: path
    required: true
  output_dir:
    description:
      - Directory for the converted disks, C(report.json), C(hyper2kvm.log) and C(conversion.json); made when missing.
      - C(out) beside the manifest, when left out.
    type: path
  target_format:
    description:
      - Format of the converted disks; that of the manifest's C(output.format), or V(qcow2), when left out.
    type: str
    choices: [qcow2, raw, vdi]
  compress:
    description:
      - Whether a qcow2 is compressed, with zstd; as the manifest's C(pipeline.convert.compress) says, when left out.
        Formats other than V(qcow2) can't be.
      - There is no level to choose. QEMU's qcow2 has none, and hyper2kvm 0.2.1's attempt to pass on the manifest's
        C(compress_level) makes C(qemu-img) fail three times before it compresses with zlib. So a level is left out,
        with a warning.
    type: bool
  stages:
    description:
      - The stages of hyper2kvm to run; those that the manifest enables, when left out.
      - Without V(convert) there are no outputs, and the working copies stay.
    type: list
    elements: str
    choices: [inspect, fix, convert, validate]
  dry_run:
    description:
      - Whether hyper2kvm only says what its stage FIX would change, in C(dry-run-hyper2kvm.log). The boot disk's copy
        is bound read-only for it, nothing is converted, and the results of an earlier conversion stay.
      - As the manifest's C(options.dry_run) says, when left out. hyper2kvm itself goes on after a dry run and
        converts disks that were not fixed; this module does not.
      - Check mode starts nothing of all this, and takes a second. A dry run starts libguestfs' appliance, and takes
        about as long as FIX.
    type: bool
  mode:
    description:
      - V(direct) runs hyper2kvm here.
      - V(queue) has the stage FIX done by hyper2kvm's daemon, which takes manifests from O(queue_directory) and
        bounds how many it works on at once. All else is done here, and the verdict is the same, but for the lines of
        hyper2kvm's log that tell of edits that failed. The daemon keeps a log of its own.
      - The daemon reads nothing of a manifest but where the disk is. So one with C(configuration), C(hooks) or
        options of FIX other than the daemon's own is refused.
      - What is said of isolation here does not hold for the daemon. Run it confined itself; C(docs/converting.md)
        has a unit for systemd.
    type: str
    choices: [direct, queue]
    default: direct
  queue_directory:
    description:
      - The directory that hyper2kvm's daemon was given as C(--manifest-workflow-dir). It must see the VM's directory
        under the same path.
    type: path
  queue_timeout:
    description:
      - Seconds that the manifest may lie in the queue while the daemon is at no other one. It is taken back then.
    type: int
    default: 120
  repair:
    description:
      - Whether a guest that hyper2kvm has fixed, and that would not boot on virtio, is repaired with its own tools.
      - Without it such a guest is a failure that names what it lacks. Its network is put back either way, as
        O(guest_network) says.
    type: bool
    default: true
  guest_network:
    description:
      - V(keep) puts the guest's network configuration, which hyper2kvm 0.2.1 takes apart, back as it was, and pins
        the names that its interfaces had to their MAC addresses.
      - V(hyper2kvm) leaves it as hyper2kvm has made it.
    type: str
    choices: [keep, hyper2kvm]
    default: keep
  mac_policy:
    description:
      - V(keep) is for a machine whose NICs keep their MAC addresses on KVM.
      - V(new) is for one whose NICs get new ones, such as M(hypersdk.hyper2kvm.kvm_domain) gives with the same option.
        What the guest's network files say of the old addresses says the new ones then, and its interfaces get their
        names by the new ones. M(hypersdk.hyper2kvm.kvm_boot_check) boots with them.
      - With O(guest_network=hyper2kvm) nothing in the guest is bound to either.
    type: str
    choices: [keep, new]
    default: keep
  domain_uuid:
    description:
      - The UUID that the domain is going to have, from which new MAC addresses follow; that which
        M(hypersdk.hyper2kvm.kvm_domain) gives it, when left out. Say it where one VM becomes several domains.
    type: str
  keep_on_failure:
    description:
      - Whether the working copies, and the manifests and reports of the single runs of hyper2kvm, stay in C(work)
        beside the manifest when the conversion fails. They hold the guest's data. The next run removes them.
    type: bool
    default: false
  nice:
    description:
      - The niceness, from 0 to 19, of everything that opens a guest's disk. The higher, the more the host's other
        work comes first, for the processor and, with the I/O schedulers that know priorities, for disks.
    type: int
    default: 0
  memory_limit:
    description:
      - MiB that each of these programs may address. Where the memory controller of control groups v2 is delegated to
        the module, it is also what all programs of one sandbox may use together. V(0) is without a limit.
      - libguestfs' appliance needs about 4,000 without KVM. It is the first that the kernel ends when the host runs
        out of memory, whatever the limit.
    type: int
    default: 8192
  timeout:
    description:
      - Seconds that the whole conversion may take. What runs then gets SIGTERM, and SIGKILL soon after.
      - Without KVM the stage FIX takes minutes even for a small guest.
    type: int
    default: 14400
  executable:
    description:
      - hyper2kvm's program. Looked for beside the module's Python, on E(PATH), and in C(/opt/hyper2kvm/bin), when
        left out.
    type: path
  environment:
    description:
      - Variables for hyper2kvm, beside those that it always gets. It does not see the module's own environment.
      - E(LIBGUESTFS_CACHEDIR) is where libguestfs keeps its appliance between runs,
        C(/var/cache/hypersdk-hyper2kvm/libguestfs) for root when it is not set.
      - E(HYPER2KVM_GUESTFS_BACKEND) is always C(libguestfs); the other one changes devices of the host.
    type: dict
    default: {}
  isolation:
    description:
      - V(bubblewrap) runs everything that opens a guest's disk in a sandbox.
      - V(none) runs it without, for places where no namespace can be made, such as an unprivileged container.
        hyper2kvm 0.2.1 then runs C(xfs_admin) and C(fsck) on disks of the conversion host that bear the names of the
        guest's (C(/dev/sda1) and so on), and changes them. Choose it only where nothing is there to be lost.
    type: str
    choices: [bubblewrap, none]
    default: bubblewrap
requirements:
  - hyper2kvm 0.2.1
  - libguestfs with its Python binding
  - qemu-img
  - bubblewrap
extends_documentation_fragment:
  - hypersdk.hyper2kvm.attributes
attributes:
  check_mode:
    support: full
    details:
      - Says what would be made and, in RV(steps), what would be run, after it has looked for hyper2kvm and for the
        disks.
  diff_mode:
    support: none
  idempotent:
    support: full
    details:
      - C(conversion.json) records the manifest, the exported files, the versions of hyper2kvm and of this collection,
        and the options. While these and the converted disks stay the same, nothing is done. How it is run, by O(mode),
        O(nice), O(memory_limit), O(timeout) and O(keep_on_failure), makes no difference.
      - A dry run is done each time, and changes nothing.
seealso:
  - module: hypersdk.hyper2kvm.kvm_boot_check
"""

EXAMPLES = r"""
- name: Convert an exported VM
  hypersdk.hyper2kvm.hyper2kvm_convert:
    manifest: /srv/migration/web01/artifact-manifest.json
  vars:
    ansible_python_interpreter: /opt/hyper2kvm/bin/python3
  register: converted

- name: Convert to raw images on a conversion host without much memory
  hypersdk.hyper2kvm.hyper2kvm_convert:
    manifest: /srv/migration/web01/artifact-manifest.json
    output_dir: /srv/images/web01
    target_format: raw
    environment:
      LIBGUESTFS_MEMSIZE: "512"
    timeout: 7200

- name: Convert while others work on the host, and keep the working copies for a look when it fails
  hypersdk.hyper2kvm.hyper2kvm_convert:
    manifest: /srv/migration/web01/artifact-manifest.json
    compress: true
    nice: 10
    memory_limit: 6144
    keep_on_failure: true

- name: Convert a VM that is to run beside the old one, with other MAC addresses
  hypersdk.hyper2kvm.hyper2kvm_convert:
    manifest: /srv/migration/web01/artifact-manifest.json
    mac_policy: new

- name: See what hyper2kvm would change in the guest
  hypersdk.hyper2kvm.hyper2kvm_convert:
    manifest: /srv/migration/web01/artifact-manifest.json
    dry_run: true

- name: Let hyper2kvm's daemon do the fixing
  hypersdk.hyper2kvm.hyper2kvm_convert:
    manifest: /srv/migration/web01/artifact-manifest.json
    mode: queue
    queue_directory: /srv/hyper2kvm-queue
"""

RETURN = r"""
outputs:
  description: The converted disks, in the manifest's order.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Id of the disk in the manifest.
      type: str
      sample: disk-0
    path:
      description: The converted disk.
      type: str
      sample: /srv/migration/web01/out/disk-0.qcow2
    format:
      description: Its format.
      type: str
      sample: qcow2
    size:
      description: Size of the file in bytes. Not in check mode.
      type: int
      sample: 1386217472
    virtual_size:
      description: Size of the disk that a guest sees, in bytes. Not in check mode.
      type: int
      sample: 21474836480
    checksum:
      description: SHA-256 of the file. Not in check mode.
      type: str
      sample: sha256:2b9c8dc3ea2c7e4ce0b4b3e6f6b3d0a44a4d54ab40a5b6cbe5d2a6e6aa9f1c11
report_path:
  description: hyper2kvm's report; one for all stages.
  returned: success
  type: str
  sample: /srv/migration/web01/out/report.json
log_path:
  description: What hyper2kvm printed.
  returned: success, and on failure once hyper2kvm has run
  type: str
  sample: /srv/migration/web01/out/hyper2kvm.log
fixed:
  description: Whether FIX ran and wrote to the boot disk's copy. Whether the guest boots is for a boot check to show.
  returned: success
  type: bool
stages:
  description: How each stage ended.
  returned: success
  type: dict
  sample:
    fix: {success: true, seconds: 84.1, error: ""}
durations:
  description: Seconds that the steps took. Data disks are decoded while FIX runs.
  returned: when a conversion ran
  type: dict
  sample: {preparation: 1.4, working_copies: 4.2, fix: 88.9, guest_repair: 22.0, convert: 9.1, verify: 6.0}
overhead:
  description: The same seconds, by who took them.
  returned: when a conversion ran, and was no dry run
  type: dict
  contains:
    hyper2kvm:
      description: While hyper2kvm ran. What goes on beside it is not counted again.
      type: float
      sample: 98.0
    appliance:
      description: The start of libguestfs' appliance for the repair.
      type: float
      sample: 14.4
    initramfs:
      description: Making initramfs anew with the guest's own tools; V(0) where none was needed.
      type: float
      sample: 0.0
    rest:
      description: Everything else, which this collection adds.
      type: float
      sample: 7.8
    percent:
      description: What RV(overhead.rest) is of RV(overhead.hyper2kvm), in per cent.
      type: float
      sample: 8.0
guest:
  description: What was found in the guest after its repair; its system, kernels, drivers, boot loader and network.
  returned: when FIX ran
  type: dict
  contains:
    os:
      description: Its operating system; C(type), C(name), C(distribution) and C(version).
      type: dict
    root:
      description: Its root filesystem; C(device), C(type) and C(uuid).
      type: dict
    kernels:
      description: Its kernels, newest first, each with what it lacks for a boot on virtio.
      returned: for Linux
      type: list
      elements: dict
    drivers:
      description: For each kernel, where each virtio driver is.
      returned: for Linux
      type: dict
    boot_loader:
      description: Where its EFI system partition is mounted, and its fall-back loader.
      returned: for Linux
      type: dict
    fstab:
      description: The text of its fstab, C(before) FIX and C(after) the repair.
      returned: for Linux
      type: dict
    initramfs_rebuilt:
      description: The kernels whose initramfs is another file than in the export.
      returned: for Linux
      type: list
      elements: dict
      contains:
        version:
          description: The kernel's version.
          type: str
        by:
          description: Who made it; V(hyper2kvm), or V(repair) for the guest's own tool.
          type: str
    network:
      description: What its network relied on before FIX, and what it is to answer at.
      returned: for Linux
      type: dict
      contains:
        ways:
          description: Who configures it, in which files, and whether that is in force.
          type: list
          elements: dict
          contains:
            manager:
              description: The manager.
              type: str
              sample: ifupdown
            paths:
              description: Its files.
              type: list
              elements: str
            in_force:
              description: Whether it is installed and enabled; addresses are only expected where it is.
              type: bool
        names:
          description: The names that its NICs had.
          type: list
          elements: dict
          contains:
            name:
              description: The name.
              type: str
              sample: ens192
            nic:
              description: The NIC's C(id) in the manifest.
              type: str
            mac:
              description: Its MAC address.
              type: str
            how:
              description: How it is known that the name was this NIC's.
              type: str
              sample: by PCI slot 192
            used:
              description: Whether one of the guest's files relies on it.
              type: bool
            itself:
              description: Whether the one manager that relies on it gives it to the MAC address by itself.
              type: bool
        expected:
          description:
            - The static addresses of interfaces that come up at boot, which must answer. Files that the manifest's
              C(configuration.network) gives count in the place of those of the guest for the same NIC.
          type: list
          elements: dict
          contains:
            nic:
              description: The C(id) of the first NIC that it is on.
              type: str
            mac:
              description: That NIC's MAC address.
              type: str
            nics:
              description: The C(id) of every NIC that it is on; a bond has several.
              type: list
              elements: str
            address:
              description: The address.
              type: str
              sample: 192.0.2.10
            prefix:
              description: The length of its network's prefix.
              type: int
            gateway:
              description: The default gateway, empty where there is none.
              type: str
            interface:
              description: The interface that it is on.
              type: str
            tag:
              description: The VLAN that it is in, 0 for none.
              type: int
        dhcp:
          description: The interfaces that ask for an address.
          type: list
          elements: str
        order:
          description:
            - The C(id) of the NICs in the order that the machine must have them in, where names such as C(eth0) depend
              on it. Empty where it does not matter. The boot check and the domain attach them so.
          type: list
          elements: str
        macs:
          description: The MAC addresses that NICs get on KVM, by their C(id), with O(mac_policy=new); empty otherwise.
          type: dict
repaired:
  description: What was changed in the guest after hyper2kvm's FIX.
  returned: when FIX ran
  type: list
  elements: dict
  contains:
    what:
      description: What was done and why, in a sentence.
      type: str
    path:
      description: The file in the guest.
      type: str
    before:
      description: What it was before.
      type: str
    after:
      description: What it is now.
      type: str
findings:
  description: What is to be known of the guest; those of the severity V(error) make the conversion fail.
  returned: when FIX ran, and on failure because of them
  type: list
  elements: dict
  contains:
    severity:
      description: V(error) or V(warning).
      type: str
    path:
      description: The file in the guest.
      type: str
    message:
      description: What is wrong, in a sentence.
      type: str
    action:
      description: What to do about it.
      type: str
steps:
  description: What would be done, in order.
  returned: in check mode
  type: list
  elements: str
mode:
  description: Who did the stage FIX, hyper2kvm run here or its daemon.
  returned: success
  type: str
  sample: direct
dry_run:
  description: Whether FIX only said what it would change.
  returned: success
  type: bool
  sample: false
kept:
  description: Directory of the working copies.
  returned: on failure, when they were kept
  type: str
  sample: /srv/migration/web01/work
hyper2kvm_version:
  description: Version of hyper2kvm.
  returned: success
  type: str
  sample: 0.2.1
isolation:
  description: How programs that open the guest's disks were run.
  returned: success
  type: str
  sample: bubblewrap
failed_edits:
  description: The lines of hyper2kvm's log that tell of edits that failed.
  returned: when the conversion failed because of them
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.errors import Hyper2KvmError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.conversion import convert
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.plan import (
    Request,
    make_plan,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.queue import Queue
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.interrupt import signals_raise
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.document import load
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.sandbox.limits import Limits


def run(module: AnsibleModule) -> dict[str, Any]:
    """Return the module's result."""
    parameters = module.params
    manifest_path = Path(parameters["manifest"]).resolve()
    output_directory = parameters["output_dir"] or manifest_path.parent / "out"
    plan = make_plan(
        Request(
            manifest_path=manifest_path,
            document=load(manifest_path),
            output_directory=Path(output_directory).resolve(),
            target_format=parameters["target_format"],
            stages=parameters["stages"],
            timeout=parameters["timeout"],
            executable=parameters["executable"],
            environment={name: str(value) for name, value in parameters["environment"].items()},
            isolation=parameters["isolation"],
            compress=parameters["compress"],
            dry_run=parameters["dry_run"],
            limits=Limits(nice=parameters["nice"], memory_mb=parameters["memory_limit"]),
            keep_on_failure=parameters["keep_on_failure"],
            queue=_queue(parameters),
            repair=parameters["repair"],
            guest_network=parameters["guest_network"],
            mac_policy=parameters["mac_policy"],
            domain_uuid=parameters["domain_uuid"] or "",
        )
    )
    for note in plan.notes():
        module.warn(note)
    earlier = None if plan.dry_run else plan.earlier_result()
    if earlier is not None:
        return {"changed": False, **earlier}
    if module.check_mode:
        return {"changed": not plan.dry_run, "steps": plan.steps(), **plan.expected_result()}
    return {"changed": not plan.dry_run, **convert(plan)}


def _queue(parameters: dict[str, Any]) -> Queue | None:
    if parameters["mode"] == "direct":
        return None
    directory = Path(parameters["queue_directory"]).resolve()
    return Queue(directory, parameters["queue_timeout"])


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "manifest": {"type": "path", "required": True},
            "output_dir": {"type": "path"},
            "target_format": {"type": "str", "choices": ["qcow2", "raw", "vdi"]},
            "stages": {
                "type": "list",
                "elements": "str",
                "choices": ["inspect", "fix", "convert", "validate"],
            },
            "timeout": {"type": "int", "default": 14400},
            "executable": {"type": "path"},
            "environment": {"type": "dict", "default": {}},
            "compress": {"type": "bool"},
            "dry_run": {"type": "bool"},
            "mode": {"type": "str", "choices": ["direct", "queue"], "default": "direct"},
            "queue_directory": {"type": "path"},
            "queue_timeout": {"type": "int", "default": 120},
            "repair": {"type": "bool", "default": True},
            "guest_network": {"type": "str", "choices": ["keep", "hyper2kvm"], "default": "keep"},
            "mac_policy": {"type": "str", "choices": ["keep", "new"], "default": "keep"},
            "domain_uuid": {"type": "str"},
            "keep_on_failure": {"type": "bool", "default": False},
            "nice": {"type": "int", "default": 0},
            "memory_limit": {"type": "int", "default": 8192},
            "isolation": {
                "type": "str",
                "choices": ["bubblewrap", "none"],
                "default": "bubblewrap",
            },
        },
        required_if=[("mode", "queue", ("queue_directory",))],
        supports_check_mode=True,
    )
    try:
        with signals_raise():
            result = run(module)
    except Hyper2KvmError as error:
        module.fail_json(**error.failure())
    module.exit_json(**result)


if __name__ == "__main__":
    main()
