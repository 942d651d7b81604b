# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A virtual TPM 2.0: swtpm, in a sandbox of its own beside QEMU's.

It shares nothing with QEMU but the socket in the check's directory, and sees no
disk. It is new and empty at each check: what a guest has sealed to the TPM that
it had under vSphere can't be unsealed, neither here nor on the KVM host.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..sandbox.confinement import BASE_ENVIRONMENT, Confinement
from ..sandbox.process import start
from .errors import BootCheckError

# Relative to where QEMU and swtpm run: a socket's address has room for 108 bytes.
SOCKET_NAME = "tpm.sock"

_STATE_NAME = "tpm"
_START_TIMEOUT = 30.0
_TICK = 0.05


def find_swtpm() -> str:
    """Return swtpm's program; raises BootCheckError when it is not installed."""
    found = shutil.which("swtpm", path=BASE_ENVIRONMENT["PATH"])
    if found is None:
        raise BootCheckError(
            "The machine has a TPM, and swtpm is not installed on this host.",
            action="Install the package swtpm (Debian, Ubuntu, RHEL, Fedora: the same name),"
            " or check without: tpm: false.",
        )
    return found


def swtpm_arguments(program: str) -> list[str]:
    """Return swtpm's argument vector; it ends when QEMU closes the connection."""
    return [
        *(program, "socket", "--tpm2", "--terminate"),
        *("--tpmstate", f"dir={_STATE_NAME},mode=0600"),
        *("--ctrl", f"type=unixio,path={SOCKET_NAME}"),
    ]


@contextmanager
def running_tpm(scratch: Path, isolation: str) -> Iterator[None]:
    """Run a TPM until the with block ends.

    Args:
        scratch: The check's directory, which QEMU runs in too.
        isolation: "bubblewrap" or "none".

    Raises:
        BootCheckError: swtpm is missing, or did not start.
        SandboxError: The sandbox can't be made.
    """
    program = find_swtpm()
    (scratch / _STATE_NAME).mkdir(mode=0o700)
    said = b""

    def take(_name: str, piece: bytes) -> None:
        nonlocal said
        said = (said + piece)[-2000:]

    confinement = Confinement(writable=(scratch,), isolation=isolation)
    with start(swtpm_arguments(program), confinement, working_directory=scratch) as process:
        deadline = time.monotonic() + _START_TIMEOUT
        while not (scratch / SOCKET_NAME).exists():
            if not process.pump(take, _TICK) or time.monotonic() > deadline:
                raise BootCheckError(
                    "swtpm, the machine's TPM, did not start: "
                    + (said.decode(errors="replace").strip() or "it said nothing")
                    + "."
                )
        yield
