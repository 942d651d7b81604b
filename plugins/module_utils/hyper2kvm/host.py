# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What works on a conversion host: tried, not assumed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..kvm.errors import BootCheckError
from ..kvm.firmware import find_uefi
from ..sandbox.confinement import BUBBLEWRAP, NONE
from ..sandbox.errors import SandboxError
from ..sandbox.kvm_device import kvm_works
from ..sandbox.run import Completed, run
from .environment import CACHE_VARIABLE, hyper2kvm_environment
from .errors import ConversionError
from .installation import Installation, find_installation

_VERSION = re.compile(r"\d+(?:\.\d+)+")
_QUICK = 60.0
_QEMU = ("qemu-system-x86_64", "/usr/libexec/qemu-kvm")

_LIBGUESTFS_VERSION = (
    "import guestfs; v = guestfs.GuestFS(python_return_dict=True).version();"
    " print('%d.%d.%d' % (v['major'], v['minor'], v['release']))"
)
_START_APPLIANCE = (
    "import guestfs; g = guestfs.GuestFS(python_return_dict=True);"
    " g.add_drive_scratch(1 << 20); g.launch(); g.shutdown()"
)


@dataclass(frozen=True)
class HostFacts:
    """What a conversion host has. Empty versions are what it lacks.

    Attributes:
        kvm: Whether KVM runs code.
        bubblewrap: Whether the sandbox can be made.
        bubblewrap_version: Version of bwrap.
        hyper2kvm: Whether hyper2kvm and libguestfs' binding import.
        hyper2kvm_version: Version of hyper2kvm's package.
        hyper2kvm_executable: Its program.
        libguestfs_version: Version of libguestfs.
        libguestfs: Whether its appliance starts, None when that was not tried.
        qemu_version: Version of QEMU for x86-64.
        qemu_img_version: Version of qemu-img.
        swtpm_version: Version of swtpm, for virtual TPMs.
        virt_install_version: Version of virt-install, for domains.
        libvirt_version: Version of libvirt's client.
        uefi: Whether there is firmware for UEFI machines.
        secure_boot: Whether there is firmware with keys enrolled.
        hivex: Whether hivex' binding imports, for registries of Windows guests.
        nbd: Whether the nbd kernel module is loaded; nothing here needs it.
        python_version: Version of the interpreter beside hyper2kvm.
        cpus: Number of CPUs.
        memory_mb: Memory in MiB.
        free_mb: Free space of the directory that was asked about, in MiB.
        problems: A sentence for everything that does not work.
    """

    kvm: bool
    bubblewrap: bool
    bubblewrap_version: str
    hyper2kvm: bool
    hyper2kvm_version: str
    hyper2kvm_executable: str
    libguestfs_version: str
    libguestfs: bool | None
    qemu_version: str
    qemu_img_version: str
    swtpm_version: str
    virt_install_version: str
    libvirt_version: str
    uefi: bool
    secure_boot: bool
    hivex: bool
    nbd: bool
    python_version: str
    cpus: int
    memory_mb: int
    free_mb: int | None
    problems: tuple[str, ...]


def host_facts(
    executable: str | None,
    *,
    start_appliance: bool,
    appliance_timeout: float,
    environment: Mapping[str, str],
    directory: Path | None = None,
) -> HostFacts:
    """Try what a conversion needs and return what works.

    Args:
        executable: hyper2kvm's program; None looks for it.
        start_appliance: Whether to start libguestfs' appliance, which takes seconds
            with KVM and half a minute without. It is built the first time, and kept.
        appliance_timeout: Seconds that this may take.
        environment: Variables for hyper2kvm and libguestfs.
        directory: Where the VMs' directories are, or will be.
    """
    problems: list[str] = []
    sandboxed = _sandbox_works(problems)
    # Versions are told without opening a guest's disk, so they can be had without it.
    isolation = BUBBLEWRAP if sandboxed else NONE
    installation, imports = _hyper2kvm(executable, isolation, problems)
    kvm = kvm_works()
    appliance = None
    libguestfs_version = ""
    if installation is not None and imports:
        libguestfs_version = _version_of(
            [str(installation.interpreter), "-I", "-c", _LIBGUESTFS_VERSION],
            isolation,
            installation,
        )
        if start_appliance:
            variables = hyper2kvm_environment(environment, kvm=kvm)
            completed = run(
                [str(installation.interpreter), "-I", "-c", _START_APPLIANCE],
                writable=[Path(variables[CACHE_VARIABLE])],
                readonly=installation.directories,
                environment=variables,
                timeout=appliance_timeout,
                kvm=kvm,
                isolation=isolation,
            )
            appliance = completed.ok
            if not completed.ok:
                problems.append(f"libguestfs' appliance does not start: {_last(completed)}.")
    qemu = next((found for found in (_version_of([p, "--version"]) for p in _QEMU) if found), "")
    qemu_img = _version_of(["qemu-img", "--version"])
    for name, version in (("QEMU for x86-64", qemu), ("qemu-img", qemu_img)):
        if not version:
            problems.append(f"{name} is not installed.")
    return HostFacts(
        kvm=kvm,
        bubblewrap=sandboxed,
        bubblewrap_version=_version_of(["bwrap", "--version"]),
        hyper2kvm=imports,
        hyper2kvm_version=installation.version if installation else "",
        hyper2kvm_executable=str(installation.executable) if installation else "",
        libguestfs_version=libguestfs_version,
        libguestfs=appliance,
        qemu_version=qemu,
        qemu_img_version=qemu_img,
        swtpm_version=_version_of(["swtpm", "--version"]),
        virt_install_version=_version_of(["virt-install", "--version"]),
        libvirt_version=_version_of(["virsh", "--version"]),
        uefi=_firmware_is_there(secure_boot=False),
        secure_boot=_firmware_is_there(secure_boot=True),
        hivex=_imports("hivex", isolation, installation),
        nbd=Path("/sys/module/nbd").is_dir(),
        python_version=_version_of(
            [str(installation.interpreter), "--version"], installation=installation
        )
        if installation
        else "",
        cpus=os.cpu_count() or 1,
        memory_mb=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // (1024 * 1024),
        free_mb=None if directory is None else _free_space(directory) // (1024 * 1024),
        problems=tuple(problems),
    )


def _sandbox_works(problems: list[str]) -> bool:
    try:
        completed = run(["true"], timeout=_QUICK)
    except SandboxError as error:
        problems.append(str(error))
        return False
    if not completed.ok:
        problems.append(f"bubblewrap does not work: {_last(completed)}.")
    return completed.ok


def _hyper2kvm(
    executable: str | None, isolation: str, problems: list[str]
) -> tuple[Installation | None, bool]:
    installation = None
    try:
        installation = find_installation(executable, isolation=isolation)
        installation.check_imports()
    except (ConversionError, SandboxError) as error:
        problems.append(str(error))
        return installation, False
    return installation, True


def _firmware_is_there(*, secure_boot: bool) -> bool:
    try:
        find_uefi(secure_boot=secure_boot)
    except BootCheckError:
        return False
    return True


def _imports(name: str, isolation: str, installation: Installation | None) -> bool:
    if installation is None:
        return False
    argv = [str(installation.interpreter), "-I", "-c", f"import {name}"]
    try:
        return run(argv, readonly=installation.directories, timeout=_QUICK, isolation=isolation).ok
    except SandboxError:
        return False


def _free_space(directory: Path) -> int:
    """Return what the user may still write there, in bytes; below it where it is not made yet."""
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize


def _version_of(
    argv: list[str], isolation: str = NONE, installation: Installation | None = None
) -> str:
    try:
        completed = run(
            argv,
            readonly=installation.directories if installation else (),
            timeout=_QUICK,
            isolation=isolation,
        )
    except SandboxError:
        return ""
    match = _VERSION.search(completed.stdout.decode(errors="replace"))
    return match.group(0) if completed.ok and match else ""


def _last(completed: Completed) -> str:
    if completed.timed_out:
        return f"it was stopped after {completed.seconds:.0f} s"
    lines = [line.strip() for line in completed.tail if line.strip()]
    return lines[-1].rstrip(".") if lines else "it said nothing"
