# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Linux guest as a directory tree: a kernel, its modules, its initramfs and its boot loader."""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import DirectoryFiles

VERSION = "6.1.0-50-amd64"

# Lines as depmod writes them, for the modules of Debian 12's kernel that matter here.
MODULES_DEP = """\
kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko kernel/fs/mbcache.ko kernel/fs/jbd2/jbd2.ko
kernel/fs/jbd2/jbd2.ko:
kernel/fs/mbcache.ko:
kernel/lib/crc16.ko:
kernel/lib/libcrc32c.ko:
kernel/fs/xfs/xfs.ko: kernel/lib/libcrc32c.ko
kernel/crypto/crc32c_generic.ko:
kernel/arch/x86/crypto/crc32c-intel.ko:
kernel/drivers/virtio/virtio.ko:
kernel/drivers/virtio/virtio_ring.ko: kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/drivers/scsi/virtio_scsi.ko: kernel/drivers/scsi/scsi_mod.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/scsi/scsi_mod.ko:
kernel/drivers/scsi/sd_mod.ko: kernel/drivers/scsi/scsi_mod.ko
kernel/drivers/net/virtio_net.ko: kernel/drivers/virtio/virtio.ko
kernel/drivers/md/dm-mod.ko:
"""
MODULES_BUILTIN = "kernel/fs/binfmt_script.ko\nkernel/drivers/char/hw_random/rng-core.ko\n"
MODULES_SOFTDEP = """\
# Soft dependencies extracted from modules themselves.
softdep ext4 pre: crypto-crc32c
softdep libcrc32c pre: crc32c
softdep xts pre: ecb
"""
MODULES_ALIAS = """\
alias crypto-crc32c crc32c_intel
alias crc32c crc32c_intel
alias cpu:type:x86,ven*fam*mod*:feature:*0094* crc32c_intel
alias crypto-crc32c crc32c_generic
alias crc32c crc32c_generic
"""
# What a boot from an ext4 on virtio needs of these.
NEEDED = (
    *("ext4", "crc16", "mbcache", "jbd2", "crc32c_generic", "virtio", "virtio_ring"),
    *("virtio_pci", "virtio_blk", "virtio_scsi", "scsi_mod", "sd_mod"),
)


def cpio(names: Iterable[str], content: bytes = b"x") -> bytes:
    """Return a cpio archive of the form newc with files of these names."""
    archive = b""
    for name in [*names, "TRAILER!!!"]:
        body = b"" if name == "TRAILER!!!" else content
        encoded = name.encode() + b"\0"
        fields = [0, 0o100644, 0, 0, 1, 0, len(body), 0, 0, 0, 0, len(encoded), 0]
        archive += b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        archive += bytes(-len(archive) % 4) + body
        archive += bytes(-len(archive) % 4)
    return archive + bytes(-len(archive) % 512)


def module_paths(modules: Iterable[str], version: str = VERSION) -> list[str]:
    """Return where an initramfs has these modules."""
    return [f"usr/lib/modules/{version}/kernel/drivers/{module}.ko" for module in modules]


def initramfs(modules: Iterable[str], others: Iterable[str] = ()) -> bytes:
    """Return an initramfs as Debian makes it: microcode in front, then compressed archives.

    It holds an empty etc/fstab, as initramfs-tools makes one.
    """
    microcode = cpio(["kernel/x86/microcode/GenuineIntel.bin"])
    content = cpio([*module_paths(modules), *others])
    return microcode + gzip.compress(content + cpio(["etc/fstab"], b""), 1)


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files of a tree, with their directories."""
    for name, content in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def make_tree(root: Path, modules: Sequence[str] = NEEDED, **files: str) -> DirectoryFiles:
    """Make a guest with one kernel, whose initramfs holds *modules*; returns its files."""
    below = f"/usr/lib/modules/{VERSION}"
    write(
        root,
        {
            f"{below}/modules.dep": MODULES_DEP,
            f"{below}/modules.builtin": MODULES_BUILTIN,
            f"{below}/modules.softdep": MODULES_SOFTDEP,
            f"{below}/modules.alias": MODULES_ALIAS,
            f"/boot/vmlinuz-{VERSION}": "kernel",
            f"/boot/initrd.img-{VERSION}": initramfs(modules),
            "/usr/sbin/update-initramfs": "program",
            "/etc/initramfs-tools/modules": "# List of modules\next4\n",
            **files,
        },
    )
    (root / "lib").symlink_to("usr/lib")
    return DirectoryFiles(root)


class GuestWithTools(DirectoryFiles):
    """A tree whose program that makes an initramfs puts in what the guest lists.

    What the real ones make is for the system tests, which run them.
    """

    def __init__(self, root: Path, *, status: int = 0) -> None:
        super().__init__(root)
        self.status = status
        self.ran: list[list[str]] = []

    def run(self, argv: Sequence[str], timeout: float) -> tuple[int, str]:
        """Make the initramfs anew."""
        self.ran.append(list(argv))
        if self.status == 0:
            text = self.read("/etc/initramfs-tools/modules").decode()
            listed = [line for line in text.splitlines() if line and not line.startswith("#")]
            self.write(f"/boot/initrd.img-{argv[-1]}", initramfs([*NEEDED[:5], *listed]))
        return self.status, "cp: write error: No space left on device" if self.status else ""


class GuestWithDracut(DirectoryFiles):
    """A tree whose dracut (or mkinitcpio) makes what a guest on virtio needs, on a small /boot.

    An initramfs for any machine is a MiB larger than one for the machine it is made on. cp and
    stat are real; of what does not fit into /boot as much is written as does.
    """

    def __init__(self, root: Path, *, room: int = 1 << 30, knows_hostonly: bool = True) -> None:
        super().__init__(root)
        self.room = room
        self.knows_hostonly = knows_hostonly
        self.ran: list[list[str]] = []

    def run(self, argv: Sequence[str], timeout: float) -> tuple[int, str]:
        """Do what such a guest's program does."""
        self.ran.append(list(argv))
        program = argv[0].rsplit("/", 1)[-1]
        if program == "dracut":
            if "--no-hostonly" in argv and not self.knows_hostonly:
                return 1, "dracut: unrecognized option '--no-hostonly'"
            self.write(argv[-2], self._image("--no-hostonly" in argv))
        elif program == "mkinitcpio":
            self.write(argv[argv.index("-g") + 1], self._image("autodetect" in argv))
        else:
            return self._run_really(argv)
        return 0, ""

    def _image(self, for_any_machine: bool) -> bytes:
        return initramfs(NEEDED) + bytes((1 << 20) if for_any_machine else 0)

    def _run_really(self, argv: Sequence[str]) -> tuple[int, str]:
        target = argv[-1]
        if argv[0] == "cp" and target.startswith("/boot/"):
            content = self.read(argv[-2])
            if len(content) > self.room:
                self.write(target, content[: self.room])
                return 1, f"cp: error writing '{target}': No space left on device"
        real = [str(self._real(word)) if word.startswith("/") else word for word in argv]
        done = subprocess.run(real, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr
