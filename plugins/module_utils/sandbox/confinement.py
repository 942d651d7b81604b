# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a program that opens a guest's disk may see, as bubblewrap's arguments.

Why each is there (measured with hyper2kvm 0.2.1 and bubblewrap 0.8):

- hyper2kvm runs xfs_admin, fsck and mount on the *host* with the guest's device
  names, so /dev is bubblewrap's own: no disk of the host is in it.
- A tmpfs comes before whatever is bound below it, or it would hide the bind.
- /run is a tmpfs: a read-only mount does not stop connect(), and the sockets of
  D-Bus, Docker or libvirt would hand root the host.
- As root no user namespace is made (supermin fails in one), so root keeps its
  capabilities unless they are dropped, and with CAP_SYS_ADMIN it may remount /
  writable and leave. Of root's powers only those over files and owners are kept:
  supermin and a guest's disk owned by another user need them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .errors import SandboxError
from .kvm_device import KVM_DEVICE
from .limits import UNLIMITED, Limits

BUBBLEWRAP = "bubblewrap"
NONE = "none"
ISOLATIONS = (BUBBLEWRAP, NONE)

_KEPT_CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
)
_HIDDEN_DIRECTORIES = ("/tmp", "/var/tmp", "/run")  # noqa: S108 - hidden, not used

# The environment is made anew: credentials of vCenter that a play or AWX put
# into the module's environment are no business of what reads a guest's disk.
BASE_ENVIRONMENT = {
    "HOME": "/tmp",  # noqa: S108 - the sandbox's own
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}


@dataclass(frozen=True)
class Confinement:
    """What a program may reach.

    Attributes:
        writable: Files and directories that it may write.
        readonly: Files and directories that it may read and never write, also
            where they lie inside a writable one.
        kvm: Whether it gets /dev/kvm; the caller has probed that it works.
        isolation: "bubblewrap", or "none" where no namespace can be made.
        limits: What it may take of the host's memory and CPU.
        empty_devices: Names in its /dev that are there and hold nothing.
    """

    writable: Sequence[Path] = field(default_factory=tuple)
    readonly: Sequence[Path] = field(default_factory=tuple)
    kvm: bool = False
    isolation: str = BUBBLEWRAP
    limits: Limits = UNLIMITED
    empty_devices: Sequence[str] = ()


def find_bubblewrap() -> str:
    """Return the path of bwrap; raises SandboxError when it is not installed."""
    program = shutil.which("bwrap", path=_search_path())
    if program is None:
        raise SandboxError(
            "The program bwrap is not installed, and without it hyper2kvm would run with the"
            " conversion host's own disks in reach.",
            action="Install the package bubblewrap (Debian, Ubuntu, RHEL, Fedora: the same name),"
            " or run the role hypersdk.hyper2kvm.conversion_host.",
        )
    return program


def bubblewrap_arguments(
    confinement: Confinement, *, program: str, information_fd: int, wait_fd: int
) -> list[str]:
    """Return the argument vector that goes in front of the program's own.

    Args:
        confinement: What the program may reach; its paths must exist.
        program: Path of bwrap.
        information_fd: File descriptor that bwrap writes its child's PID to.
        wait_fd: File descriptor that the child waits for a byte from before it goes on.
    """
    arguments = [program, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    for hidden in _HIDDEN_DIRECTORIES:
        if os.path.isdir(hidden):
            arguments += ["--tmpfs", hidden]
    # A parent before its child, and of two equal paths the read-only one last.
    binds = [(path.resolve(), "--bind") for path in confinement.writable]
    binds += [(path.resolve(), "--ro-bind") for path in confinement.readonly]
    for path, option in sorted(binds, key=lambda bind: (bind[0].parts, bind[1] != "--bind")):
        arguments += [option, str(path), str(path)]
    if confinement.kvm:
        arguments += ["--dev-bind", str(KVM_DEVICE), str(KVM_DEVICE)]
    for name in confinement.empty_devices:
        arguments += ["--symlink", "null", f"/dev/{name}"]
    arguments += ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    arguments += ["--die-with-parent", "--new-session"]
    if os.geteuid() == 0:
        arguments += ["--cap-drop", "ALL"]
        for capability in _KEPT_CAPABILITIES:
            arguments += ["--cap-add", capability]
    return [*arguments, "--info-fd", str(information_fd), "--block-fd", str(wait_fd), "--"]


def clean_environment(additions: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a confined program."""
    return {**BASE_ENVIRONMENT, **additions}


def _search_path() -> str:
    return os.pathsep.join((os.environ.get("PATH", ""), BASE_ENVIRONMENT["PATH"]))
