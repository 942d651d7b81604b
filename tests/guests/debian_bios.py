# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ordinary guest: Debian on BIOS, GRUB and ext4, as VMware hosts it.

It relies on VMware's hardware the way such VMs do: fstab and the kernel's
command line name /dev/sda1, the initramfs holds the drivers of VMware's
controllers and no virtio, and the network is configured for ens192. So it does
not boot from a virtio disk until something has been done about it.

    python -m ansible_collections.hypersdk.hyper2kvm.tests.guests.debian_bios --print-json
"""

from __future__ import annotations

import argparse
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import (
    data_disk,
    debian,
    disk,
    guest,
    namespace,
    system,
)
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Disk, Guest, Nic
from ansible_collections.hypersdk.hyper2kvm.tests.support import stream_optimized
from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import built, keyed

NAME = "debian-bios"
HOSTNAME = "web01"
BOOT_CAPACITY = 1536 * disk.MIB
DATA_CAPACITY = 512 * disk.MIB
DATA_MOUNT = "/srv/data"
GATEWAY = "192.0.2.1"
NIC = Nic(
    name="ens192",
    mac="00:50:56:8a:10:01",
    pci_slot=192,
    address="192.0.2.10/24",
    network="192.0.2.0/24",
)

# The boot disk hangs on a paravirtual SCSI controller, the data disk on the SATA
# controller. Linux gives names to disks that it finds at the same time in any
# order; since the initramfs has no SATA driver, the data disk comes second and
# is /dev/sdb at every boot. The last module is nothing that a KVM guest needs:
# hyper2kvm 0.2.1's FIX glues the last line of /etc/initramfs-tools/modules to a
# comment and so loses it.
INITRAMFS_MODULES = (
    *("ext4", "crc32c_generic", "crc32c_intel", "sd_mod", "mptspi", "mptsas"),
    *("vmxnet3", "vmw_pvscsi"),
)

_ROOT_UUID = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"root.{NAME}"))
_DATA_UUID = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"data.{NAME}"))

_FSTAB = f"""\
# <file system> <mount point> <type> <options> <dump> <pass>
/dev/sda1 / ext4 errors=remount-ro 0 1
/dev/sdb1 {DATA_MOUNT} ext4 defaults 0 2
"""

_DEFAULT_GRUB = f"""\
GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="{system.CONSOLE}"
GRUB_TERMINAL="serial console"
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
GRUB_DISABLE_LINUX_UUID=true
GRUB_DISABLE_OS_PROBER=true
GRUB_DISABLE_RECOVERY=true
GRUB_DISABLE_SUBMENU=y
"""


def grub_configuration(version: str) -> str:
    """Return grub.cfg as update-grub would write it: that can't probe a tree without a disk."""
    return f"""\
set default=0
set timeout=0
serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
menuentry 'Debian GNU/Linux' --class debian --class gnu-linux --class os {{
  insmod part_msdos
  insmod ext2
  set root='hd0,msdos1'
  echo 'Loading Linux {version} ...'
  linux /boot/vmlinuz-{version} root=/dev/sda1 ro {system.CONSOLE}
  initrd /boot/initrd.img-{version}
}}
"""


def build() -> Guest:
    """Return the guest, built into the cache if it is not there."""
    rooms = (data_disk, debian, disk, guest, namespace, system, stream_optimized)
    place = keyed(NAME, Path(__file__), *(Path(str(room.__file__)) for room in rooms))
    return guest.load(built(place, _build))


def _build(work: Path) -> None:
    with ThreadPoolExecutor(1) as beside:
        data = beside.submit(_build_data, work)
        boot = _build_boot(work)
        data_disk_made, digests = data.result()
    guest.save(
        Guest(
            name=NAME,
            hostname=HOSTNAME,
            directory=work,
            firmware="bios",
            guest_id="debian12_64Guest",
            guest_full_name="Debian GNU/Linux 12 (64-bit)",
            cpu=1,
            memory_mb=512,
            boot=boot,
            data=data_disk_made,
            nics=(NIC,),
            login_pattern=rf"{HOSTNAME} login:",
            answer_port=system.ANSWER_PORT,
            answer_line=HOSTNAME,
            data_mount=DATA_MOUNT,
            data_files=digests,
        )
    )


def _build_boot(work: Path) -> Disk:
    tree = work / "root"
    debian.unpack(debian.base(["grub-pc"]), tree)
    version = debian.kernel_version(tree)
    system.identify(tree, HOSTNAME)
    system.configure_ifupdown(tree, [NIC], GATEWAY)
    system.configure_services(tree)
    system.write(tree, "/etc/fstab", _FSTAB)
    system.write(tree, "/etc/default/grub", _DEFAULT_GRUB)
    (tree / DATA_MOUNT.lstrip("/")).mkdir(parents=True)
    system.make_initramfs(tree, version, INITRAMFS_MODULES, "ext4")
    disk.install_grub_files(tree)
    system.write(tree, "/boot/grub/grub.cfg", grub_configuration(version))

    raw, vmdk = work / "boot.raw", work / "boot.vmdk"
    partition = disk.whole_disk(BOOT_CAPACITY, bootable=True)
    disk.write_partition_table(raw, BOOT_CAPACITY, 0x0B1A0001, [partition])
    disk.make_ext4(raw, partition, tree, label="root", uuid=_ROOT_UUID)
    disk.write_grub(raw, tree)
    debian.remove(tree)
    stream_optimized.write(raw, vmdk, form="esxi")
    return Disk(vmdk=vmdk, raw=raw, capacity=BOOT_CAPACITY, form="esxi")


def _build_data(work: Path) -> tuple[Disk, dict[str, str]]:
    tree, raw, vmdk = work / "data", work / "data.raw", work / "data.vmdk"
    tree.mkdir()
    digests = data_disk.write_known_files(tree)
    partition = disk.whole_disk(DATA_CAPACITY)
    disk.write_partition_table(raw, DATA_CAPACITY, 0x0B1A0002, [partition])
    disk.make_ext4(raw, partition, tree, label="data", uuid=_DATA_UUID)
    debian.remove(tree)
    stream_optimized.write(raw, vmdk, form="qemu")
    return Disk(vmdk=vmdk, raw=raw, capacity=DATA_CAPACITY, form="qemu"), digests


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the ordinary Debian guest.")
    parser.add_argument("--print-json", action="store_true", help="print guest.json, with paths")
    arguments = parser.parse_args()
    made = build()
    if arguments.print_json:
        document = made.document()
        for key in ("boot_disk", "data_disk"):
            document[key] = str(made.directory / document[key])
        document["directory"] = str(made.directory)
        document["inventory_vm"] = made.inventory_vm()
        print(json.dumps(document, indent=2, sort_keys=True))
    else:
        print(made.directory / guest.DOCUMENT)


if __name__ == "__main__":
    main()
