# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Linux that is up within seconds, without KVM too, and does what its second disk says.

Debian's kernel of this machine and an initramfs with busybox and the drivers of
virtio NICs, VLANs and bonds. Its init runs the shell script on /dev/vdb. So a
test says in a line or two how the guest's network is set up, and real Linux does
the rest. It boots from BIOS through GRUB, or from UEFI through Debian's signed shim.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import disk
from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import built, keyed

_DRIVERS = ("virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "8021q", "bonding")
_COMMAND_LINE = "console=ttyS0 quiet panic=-1 net.ifnames=0"
_CAPACITY = 96 * disk.MIB
_SCRIPT_SIZE = 64 * 1024

_BUSYBOX = Path("/bin/busybox")
_AGENT = Path("/usr/sbin/qemu-ga")
_GRUB = Path("/usr/lib/grub/i386-pc")
_GRUB_MODULES = ("biosdisk", "part_msdos", "ext2", "normal", "linux")
# What a UEFI machine boots that has no boot entries, and the loader that shim starts next.
_SHIM = Path("/usr/lib/shim/shimx64.efi.signed")
_SIGNED_GRUB = Path("/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed")

_INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /run /tmp
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in MODULES; do insmod /lib/modules/$module.ko; done
exec < /dev/ttyS0 > /dev/ttyS0 2>&1
echo 1 > /proc/sys/kernel/printk
ip link set lo up
dd if=/dev/vdb bs=65536 count=1 2> /dev/null | tr -d '\\0' > /script
. /script
while true; do sleep 3600; done
"""

# OVMF shows its console on the serial line, and SeaBIOS its screen: GRUB need not know it.
_MENU = f"""\
linux PREFIX/vmlinuz {_COMMAND_LINE}
initrd PREFIX/initrd
boot
"""

#: Ends a script: the machine is up.
LOGIN = "echo; echo; echo -n 'tiny login: '\n"


def kernel_version() -> str:
    """Return the newest kernel of this machine that has its modules too."""
    versions = [
        path.name.removeprefix("vmlinuz-")
        for path in Path("/boot").glob("vmlinuz-*")
        if Path("/lib/modules", path.name.removeprefix("vmlinuz-")).is_dir()
    ]
    return max(versions, key=lambda name: [int(part) for part in re.findall(r"\d+", name)])


def bios_disk() -> Path:
    """Return the boot disk for BIOS, a raw image in the cache; not to be written."""
    return _built("tiny-linux-bios", _build_bios)


def uefi_disk(*, signed: bool = True) -> Path:
    """Return the boot disk for UEFI, with Debian's signed shim, GRUB and kernel.

    Args:
        signed: Without, GRUB stands in shim's place, which Microsoft has not signed.
    """
    name = "tiny-linux-uefi" + ("" if signed else "-unsigned")
    return _built(name, lambda work: _build_uefi(work, signed=signed))


def script_disk(path: Path, script: str) -> Path:
    """Write the second disk, which says what the guest does, and return its path."""
    content = script.encode()
    assert len(content) <= _SCRIPT_SIZE, "the script is too long for its disk"
    path.write_bytes(content.ljust(1 << 20, b"\0"))
    return path


def _built(name: str, build: object) -> Path:
    assert callable(build)
    place = keyed(name, Path(__file__), Path(str(disk.__file__)), kernel_version(), *_inputs())
    return built(place, build) / "disk-0.raw"


def _inputs() -> Iterator[str]:
    for path in (_BUSYBOX, _AGENT, _GRUB / "boot.img", _SHIM, _SIGNED_GRUB):
        status = path.stat()
        yield f"{path} {status.st_size} {status.st_mtime_ns}"


def _build_bios(work: Path) -> None:
    tree = work / "root"
    boot = tree / "boot"
    (boot / "grub/i386-pc").mkdir(parents=True)
    _write_kernel(work, boot)
    (boot / "grub/grub.cfg").write_text(_MENU.replace("PREFIX", "/boot"), encoding="ascii")
    shutil.copy(_GRUB / "boot.img", boot / "grub/i386-pc/boot.img")
    argv = ["grub-mkimage", "-O", "i386-pc", "-p", "(hd0,msdos1)/boot/grub"]
    subprocess.run([*argv, "-o", str(boot / "grub/i386-pc/core.img"), *_GRUB_MODULES], check=True)
    raw = work / "disk-0.raw"
    partition = disk.whole_disk(_CAPACITY, bootable=True)
    disk.write_partition_table(raw, _CAPACITY, 0x711F0001, [partition])
    identifier = "711f0001-0000-4000-8000-000000000001"
    disk.make_ext4(raw, partition, tree, label="tiny", uuid=identifier)
    disk.write_grub(raw, tree)
    shutil.rmtree(tree)


def _build_uefi(work: Path, *, signed: bool) -> None:
    tree = work / "root"
    for directory in ("EFI/BOOT", "EFI/debian"):
        (tree / directory).mkdir(parents=True)
    _write_kernel(work, tree)
    shutil.copy(_SHIM if signed else _SIGNED_GRUB, tree / "EFI/BOOT/BOOTX64.EFI")
    shutil.copy(_SIGNED_GRUB, tree / "EFI/BOOT/grubx64.efi")
    # The signed GRUB looks for its configuration there, on the disk that it came from.
    (tree / "EFI/debian/grub.cfg").write_text(_MENU.replace("PREFIX", ""), encoding="ascii")
    raw = work / "disk-0.raw"
    # The UEFI takes a disk that is one FAT filesystem, as sticks are.
    with raw.open("xb") as image:
        image.truncate(_CAPACITY)
    subprocess.run(["mkfs.vfat", "-F", "32", str(raw)], check=True, stdout=subprocess.DEVNULL)
    entries = [str(path) for path in sorted(tree.iterdir())]
    subprocess.run(["mcopy", "-s", "-i", str(raw), *entries, "::/"], check=True)
    shutil.rmtree(tree)


def _write_kernel(work: Path, target: Path) -> None:
    version = kernel_version()
    shutil.copy(f"/boot/vmlinuz-{version}", target / "vmlinuz")
    tree = work / "initramfs"
    (tree / "bin").mkdir(parents=True)
    modules = tree / "lib/modules"
    modules.mkdir(parents=True)
    names = []
    for path in _module_files(version):
        names.append(path.name.split(".")[0])
        _copy_module(path, modules / f"{names[-1]}.ko")
    shutil.copy(_BUSYBOX, tree / "bin/busybox")
    for program in (_AGENT, *_libraries(_AGENT)):
        place = tree / program.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(program, place)
    init = tree / "init"
    init.write_text(_INIT.replace("MODULES", " ".join(names)), encoding="ascii")
    init.chmod(0o755)
    listed = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
    with (target / "initrd").open("wb") as archive:
        subprocess.run(
            ["cpio", "--quiet", "--create", "--format=newc", "--owner=0:0"],
            cwd=tree,
            input="\n".join(listed).encode() + b"\n",
            stdout=archive,
            check=True,
        )
    shutil.rmtree(tree)


def _module_files(version: str) -> list[Path]:
    """Return the drivers' files in the order in which they are to be loaded."""
    found: dict[Path, None] = {}
    for driver in _DRIVERS:
        output = subprocess.run(
            ["modprobe", "-S", version, "--show-depends", driver],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for line in output.splitlines():
            if line.startswith("insmod"):
                found[Path(line.split()[1])] = None
    return list(found)


def _copy_module(source: Path, target: Path) -> None:
    """Copy a module, without its compression: busybox's insmod knows none."""
    unpack = {".xz": ["xz", "-dc"], ".zst": ["zstd", "-dc"]}.get(source.suffix)
    if unpack is None:
        shutil.copy(source, target)
        return
    with target.open("wb") as file:
        subprocess.run([*unpack, str(source)], check=True, stdout=file)


def _libraries(program: Path) -> list[Path]:
    """Return the shared libraries that a program of this machine is linked with."""
    output = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", output)]
