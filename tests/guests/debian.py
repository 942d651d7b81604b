# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Debian that the guests have in common: debootstrap's result, as a tar in the cache.

Small on purpose, since all of it is later run under emulation: no
documentation, and of the kernel's modules those for disks, networks and
filesystems that VMware and KVM show to a guest. Both sides' drivers are there
*on disk*; which of them a guest's initramfs holds is the guest's own matter.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import mirror, namespace
from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import built, cache_dir, keyed

RELEASE = "bookworm"

PACKAGES = (
    "e2fsprogs",
    "ifupdown",
    "initramfs-tools",
    "iproute2",
    "kmod",
    "linux-image-amd64",
    "procps",
    "systemd-sysv",
    "udev",
)

# Module directories and files that stay, below /lib/modules/VERSION/kernel.
_MODULES = (
    # Not the rest of arch: udev would load a dozen ciphers for the processor at every boot.
    *("arch/x86/crypto/crc32c-intel.ko", "crypto", "lib", "block"),
    *(
        "drivers/ata/ahci.ko",
        "drivers/ata/ata_*",
        "drivers/ata/lib*",
        "drivers/block/virtio_blk.ko",
        "drivers/cdrom",
        "drivers/firmware",
    ),
    *("drivers/char/virtio_console.ko", "drivers/input/keyboard", "drivers/md"),
    *("drivers/message", "drivers/misc/vmw_*", "drivers/net/bonding", "drivers/net/vmxnet3"),
    *("drivers/net/ethernet/intel/e1000", "drivers/net/ethernet/intel/e1000e"),
    *("drivers/net/net_failover.ko", "drivers/net/virtio_net.ko", "drivers/scsi/mpt3sas"),
    *("drivers/scsi/scsi_mod.ko", "drivers/scsi/scsi_common.ko", "drivers/scsi/sd_mod.ko"),
    *("drivers/scsi/sr_mod.ko", "drivers/scsi/scsi_transport_*"),
    *("drivers/scsi/raid_class.ko", "drivers/scsi/sym53c8xx_2", "drivers/scsi/virtio_scsi.ko"),
    *("drivers/scsi/vmw_pvscsi.ko", "drivers/virtio"),
    *("fs/autofs", "fs/btrfs", "fs/efivarfs", "fs/ext4", "fs/fat", "fs/fuse", "fs/jbd2"),
    *("fs/mbcache.ko", "fs/nls", "fs/xfs", "fs/binfmt_misc.ko", "fs/configfs"),
    *("net/802", "net/8021q", "net/bridge", "net/core", "net/llc", "net/packet"),
)

_DOCUMENTATION = ("doc", "doc-base", "info", "lintian", "locale", "man")


def dpkg_configuration() -> str:
    """Return dpkg's configuration that leaves out what no guest needs; the last match wins."""
    kernel = "/lib/modules/*/kernel"
    lines = ["force-unsafe-io"]
    lines += [f"path-exclude=/usr/share/{name}/*" for name in _DOCUMENTATION]
    lines += [f"path-exclude={kernel}/*"]
    for name in _MODULES:
        lines.append(f"path-include={kernel}/{name}")
        if not name.endswith(".ko"):
            lines.append(f"path-include={kernel}/{name}/*")
    return "\n".join(lines) + "\n"


def base(extra: Sequence[str] = ()) -> Path:
    """Return the tar of a Debian tree with PACKAGES and the extra ones, built when missing.

    Args:
        extra: More packages, such as a boot loader.
    """
    packages = sorted({*PACKAGES, *extra})
    sources = Path(__file__).parent
    place = keyed(
        "debian-base", sources / "debian.py", sources / "namespace.py", RELEASE, *packages
    )

    def build(work: Path) -> None:
        _bootstrap(work / "tree", packages)
        _pack(work / "tree", work / "base.tar")

    return built(place, build) / "base.tar"


def unpack(base_tar: Path, tree: Path) -> None:
    """Unpack a base into a new directory, with owners and extended attributes."""
    tree.mkdir()
    argv = ["tar", "-x", "-p", "--numeric-owner", "--xattrs", "--xattrs-include=*"]
    subprocess.run([*argv, "-C", str(tree), "-f", str(base_tar)], check=True)


def kernel_version(tree: Path) -> str:
    """Return the version of the one kernel in a tree."""
    (version,) = (path.name for path in (tree / "lib/modules").iterdir())
    return version


def _bootstrap(tree: Path, packages: Sequence[str]) -> None:
    source = mirror.configured()
    proxy = {"http_proxy": source.proxy, "https_proxy": source.proxy} if source.proxy else {}
    tree.mkdir()
    argv = ["debootstrap", "--foreign", "--variant=minbase", f"--keyring={source.keyring}"]
    argv += [f"--cache-dir={cache_dir('debian-packages')}", f"--include={','.join(packages)}"]
    namespace.run([*argv, RELEASE, str(tree), source.uri], seconds=1200, environment=proxy)
    # Between the stages, so that dpkg never writes what it is told to leave out.
    configuration = tree / "etc/dpkg/dpkg.cfg.d/hyper2kvm-tests"
    configuration.parent.mkdir(parents=True, exist_ok=True)
    configuration.write_text(dpkg_configuration(), encoding="utf-8")
    namespace.run(
        ["chroot", str(tree), "/debootstrap/debootstrap", "--second-stage"],
        seconds=1200,
        environment={"INITRD": "No"},  # each guest makes its own
    )
    configuration.unlink()
    for leftover in [*tree.glob("var/cache/apt/archives/*.deb"), *tree.glob("var/lib/apt/lists/*")]:
        if leftover.is_file():
            leftover.unlink()


def _pack(tree: Path, target: Path) -> None:
    argv = ["tar", "-c", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--sort=name"]
    subprocess.run([*argv, "-C", str(tree), "-f", str(target), "."], check=True)
    remove(tree)  # only the tar is kept; the tree would double the cache


def remove(tree: Path) -> None:
    """Remove a tree."""
    subprocess.run(["rm", "-r", "--", str(tree)], check=True)
