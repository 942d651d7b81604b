# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ordinary guest's disks hold what the other tests rely on; nothing is booted here."""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.guests import debian_bios
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import DOCUMENT, Disk, Guest, load

FIRST_PARTITION = 1 << 20


@pytest.fixture(scope="module")
def guest() -> Guest:
    return debian_bios.build()


def debugfs(disk: Disk, command: str) -> bytes:
    argv = ["debugfs", "-R", command, f"{disk.raw}?offset={FIRST_PARTITION}"]
    return subprocess.run(argv, check=True, capture_output=True).stdout


def read(disk: Disk, path: str) -> bytes:
    return debugfs(disk, f'cat "{path}"')


def kernel_version(guest: Guest) -> str:
    return next(
        name.removeprefix("vmlinuz-")
        for name in debugfs(guest.boot, "ls -p /boot").decode().split("/")
        if name.startswith("vmlinuz-")
    )


@pytest.fixture(scope="module")
def initramfs_modules(guest: Guest, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the modules in the guest's initramfs."""
    image = tmp_path_factory.mktemp("initramfs") / "initrd.img"
    image.write_bytes(read(guest.boot, f"/boot/initrd.img-{kernel_version(guest)}"))
    listing = subprocess.run(["lsinitramfs", str(image)], check=True, capture_output=True).stdout
    return {Path(line).stem for line in listing.decode().splitlines() if line.endswith(".ko")}


@pytest.mark.parametrize("role", ["boot", "data"])
def test_each_vmdk_is_the_raw_image(guest: Guest, role: str) -> None:
    disk: Disk = getattr(guest, role)
    argv = ["qemu-img", "compare", "-f", "raw", "-F", "vmdk", "--", str(disk.raw), str(disk.vmdk)]
    assert subprocess.run(argv, check=False, capture_output=True).returncode == 0
    assert disk.raw.stat().st_size == disk.capacity


def test_one_vmdk_has_its_directory_at_the_end_and_one_in_front(guest: Guest) -> None:
    def directory(disk: Disk) -> int:
        return int(struct.unpack_from("<Q", disk.vmdk.read_bytes()[:512], 56)[0])

    assert directory(guest.boot) == 2**64 - 1
    assert directory(guest.data) < 2**64 - 1


@pytest.mark.parametrize("role", ["boot", "data"])
def test_each_filesystem_is_clean(guest: Guest, role: str) -> None:
    disk: Disk = getattr(guest, role)
    argv = ["e2fsck", "-f", "-n", f"{disk.raw}?offset={FIRST_PARTITION}"]
    assert subprocess.run(argv, check=False, capture_output=True).returncode == 0


def test_it_relies_on_vmwares_device_names(guest: Guest) -> None:
    fstab = [line.split() for line in read(guest.boot, "/etc/fstab").decode().splitlines()]
    mounts = {fields[1]: fields[0] for fields in fstab if fields[0] != "#"}
    assert mounts == {"/": "/dev/sda1", guest.data_mount: "/dev/sdb1"}
    assert b" root=/dev/sda1 " in read(guest.boot, "/boot/grub/grub.cfg")
    assert b"iface ens192 inet static" in read(guest.boot, "/etc/network/interfaces")


def test_its_initramfs_has_vmwares_drivers_and_no_virtio(initramfs_modules: set[str]) -> None:
    assert {"mptspi", "vmw_pvscsi", "sd_mod", "ext4"} <= initramfs_modules
    assert not {name for name in initramfs_modules if name.startswith("virtio")}


def test_virtio_is_on_its_disk_for_a_rebuild(guest: Guest) -> None:
    kernel = f"/lib/modules/{kernel_version(guest)}/kernel"
    for module in ("virtio/virtio_pci.ko", "block/virtio_blk.ko", "net/virtio_net.ko"):
        assert b"Type: regular" in debugfs(guest.boot, f"stat {kernel}/drivers/{module}")


def test_the_module_that_hyper2kvm_loses_is_none_that_kvm_needs(guest: Guest) -> None:
    modules = read(guest.boot, "/etc/initramfs-tools/modules").decode()
    assert modules.endswith("\nvmw_pvscsi\n")


def test_the_data_files_have_the_digests_that_the_guest_states(guest: Guest) -> None:
    assert len(guest.data_files) > 5
    for path, digest in guest.data_files.items():
        assert hashlib.sha256(read(guest.data, f"/{path}")).hexdigest() == digest, path


def test_its_document_is_read_back_as_it_was(guest: Guest) -> None:
    document = json.loads((guest.directory / DOCUMENT).read_text(encoding="utf-8"))
    assert document == guest.document()
    assert load(guest.directory) == guest
