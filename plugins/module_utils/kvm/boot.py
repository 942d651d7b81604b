# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Boot a machine in the sandbox, watch it, and bring back the evidence."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..hyper2kvm.record import file_checksum
from ..sandbox.confinement import BASE_ENVIRONMENT, Confinement
from ..sandbox.kvm_device import kvm_works
from ..sandbox.process import STDOUT, SandboxedProcess, start
from .console import Console
from .errors import BootCheckError
from .machine import Machine, qemu_arguments
from .qmp import Qmp

CONSOLE_NAME = "console.log"
SCREENSHOT_NAME = "screenshot.png"

# Seconds until a boot counts as failed, where the user gives none.
KVM_TIMEOUT = 300.0
TCG_TIMEOUT = 900.0

_SOCKET_NAME = "qmp.sock"
_CONSOLE_LIMIT = 16 * 1024 * 1024
_TICK = 0.25
_PROGRAMS = ("qemu-system-x86_64", "/usr/libexec/qemu-kvm")
_ERROR_LINES = 10


@dataclass(frozen=True)
class Check:
    """What to boot, and what to look for.

    Attributes:
        machine: The machine.
        evidence: Directory for the console's text and the screenshot.
        pattern: Regular expression of the console's text that says the machine is up.
        timeout: Seconds to wait for it; None takes the default of the accelerator.
        isolation: "bubblewrap" or "none".
    """

    machine: Machine
    evidence: Path
    pattern: str
    timeout: float | None = None
    isolation: str = "bubblewrap"


@dataclass(frozen=True)
class ImageState:
    """What shows that an image was not written: its digest, size and modification time."""

    checksum: str
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> ImageState:
        """Look at a file; reads all of it."""
        status = path.stat()
        return cls(file_checksum(path), status.st_size, status.st_mtime_ns)


def check_boot(check: Check) -> dict[str, Any]:
    """Boot the machine and return the module's result.

    Raises:
        BootCheckError: It did not come up; details hold the evidence. Or QEMU is
            missing, or an image has changed meanwhile.
        SandboxError: The sandbox can't be made.
    """
    kvm = kvm_works()
    before = [ImageState.of(disk.path) for disk in check.machine.disks]
    result = _Boot(check, kvm).run()
    images = []
    for disk, state in zip(check.machine.disks, before):
        if ImageState.of(disk.path) != state:
            raise BootCheckError(
                f"The image {disk.path} changed while it was checked.",
                action="Something else uses it: stop that, and convert the VM again.",
                **result,
            )
        images.append({"path": str(disk.path), "checksum": state.checksum, "unchanged": True})
    result["images"] = images
    if not result["booted"]:
        raise BootCheckError(
            f"The machine did not boot: {result['reason']}. Its console: {result['console_path']}.",
            **result,
        )
    return result


def find_qemu() -> str:
    """Return QEMU's program; raises BootCheckError when it is not installed."""
    for program in _PROGRAMS:
        found = shutil.which(program, path=BASE_ENVIRONMENT["PATH"])
        if found:
            return found
    raise BootCheckError(
        "QEMU for x86-64 is not installed.",
        action="Install the package qemu-system-x86 (Debian, Ubuntu) or qemu-kvm (RHEL, Fedora).",
    )


class _Boot:
    """One boot."""

    def __init__(self, check: Check, kvm: bool) -> None:
        self._check = check
        self._kvm = kvm
        default = KVM_TIMEOUT if kvm else TCG_TIMEOUT
        self._timeout = default if check.timeout is None else check.timeout
        self._console = Console(check.pattern)
        self._console_path = check.evidence / CONSOLE_NAME
        self._screenshot_path = check.evidence / SCREENSHOT_NAME
        self._errors = b""

    def run(self) -> dict[str, Any]:
        check = self._check
        check.evidence.mkdir(parents=True, exist_ok=True)
        self._screenshot_path.unlink(missing_ok=True)
        with self._scratch() as scratch:
            argv = qemu_arguments(
                check.machine,
                program=find_qemu(),
                kvm=self._kvm,
                variables=self._copy_variables(scratch),
                # Relative to where QEMU runs: a socket's address has room for 108 bytes.
                qmp_socket=_SOCKET_NAME,
            )
            confinement = Confinement(
                writable=(scratch,),
                readonly=tuple(disk.path for disk in check.machine.disks),
                kvm=self._kvm,
                isolation=check.isolation,
            )
            began = time.monotonic()
            with start(
                argv,
                confinement,
                environment={"TMPDIR": str(scratch)},
                working_directory=scratch,
            ) as process:
                running = self._watch(process, began + self._timeout)
                seconds = time.monotonic() - began
                if running:
                    self._take_screenshot(scratch)
                    process.stop()
        return self._result(running, seconds)

    def _watch(self, process: SandboxedProcess, deadline: float) -> bool:
        """Read the console until something is decided; returns whether QEMU still runs."""
        room = _CONSOLE_LIMIT
        with open(self._console_path, "wb") as log:

            def take(name: str, piece: bytes) -> None:
                nonlocal room
                if name != STDOUT:
                    self._errors = (self._errors + piece)[-_CONSOLE_LIMIT // 1024 :]
                    return
                log.write(piece[: max(0, room)])
                log.flush()
                room -= len(piece)
                self._console.feed(piece)

            while time.monotonic() < deadline:
                if not process.pump(take, _TICK):
                    return False
                if self._console.decided:
                    return True
        return True

    def _take_screenshot(self, scratch: Path) -> None:
        """Save what the screen shows; a check without its picture is still a check."""
        picture = scratch / SCREENSHOT_NAME
        try:
            with Qmp(scratch / _SOCKET_NAME) as qmp:
                qmp.execute("screendump", filename=SCREENSHOT_NAME, format="png")
            os.replace(picture, self._screenshot_path)
        except (BootCheckError, OSError) as error:
            self._errors += f"\nNo screenshot: {error}".encode()

    def _result(self, running: bool, seconds: float) -> dict[str, Any]:
        console = self._console
        booted = bool(console.matched)
        result: dict[str, Any] = {
            "booted": booted,
            "answers": [],
            "matched": console.matched,
            "console_path": str(self._console_path),
            "screenshot_path": str(self._screenshot_path)
            if self._screenshot_path.exists()
            else None,
            "seconds": round(seconds, 2),
            "accelerator": "kvm" if self._kvm else "tcg",
            "isolation": self._check.isolation,
        }
        if not booted:
            result["state"], result["reason"] = self._failure(running)
            result["tail"] = console.tail()
        return result

    def _failure(self, running: bool) -> tuple[str, str]:
        if self._console.failure is not None:
            return self._console.failure.name, self._console.failure.meaning
        if running:
            return (
                "timeout",
                f"nothing on its serial console matched {self._check.pattern!r} within"
                f" {self._timeout:.0f} s",
            )
        lines = self._errors.decode(errors="replace").strip().splitlines()[-_ERROR_LINES:]
        said = "; ".join(line.strip() for line in lines)
        return "ended", f"QEMU ended by itself and said: {said or 'nothing'}"

    def _copy_variables(self, scratch: Path) -> Path | None:
        uefi = self._check.machine.uefi
        if uefi is None:
            return None
        target = scratch / "variables.fd"
        shutil.copyfile(uefi.variables, target)
        return target

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """Make a directory for what the guest writes, and take it away again."""
        scratch = self._check.evidence / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
