# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Boot a machine in the sandbox, watch it, and bring back the evidence."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..atomic import write_text
from ..hyper2kvm.record import file_checksum
from ..sandbox.confinement import BASE_ENVIRONMENT, Confinement
from ..sandbox.kvm_device import kvm_works
from ..sandbox.process import STDOUT, SandboxedProcess, start
from .agent import Agent
from .console import Console
from .errors import BootCheckError
from .machine import TCG_BUFFER_MB, Machine, Plumbing, qemu_arguments
from .memory import reserved
from .network.expectation import Expectation
from .network.network import Network, attached
from .qmp import Qmp
from .tpm import SOCKET_NAME as TPM_SOCKET_NAME
from .tpm import running_tpm

CONSOLE_NAME = "console.log"
SCREENSHOT_NAME = "screenshot.png"
RESULT_NAME = "result.json"

# How it is known that the machine is up.
READY_CONSOLE = "console"
READY_AGENT = "agent"
READY_ANSWERS = "answers"
READINESS = (READY_CONSOLE, READY_AGENT, READY_ANSWERS)

# Seconds until a boot counts as failed, and until an address does once the machine is up,
# where the user gives none.
KVM_TIMEOUT = 300.0
TCG_TIMEOUT = 900.0
KVM_ANSWER_TIMEOUT = 60.0
TCG_ANSWER_TIMEOUT = 180.0
MEMORY_TIMEOUT = 3600.0

_SOCKET_NAME = "qmp.sock"
_CONSOLE_LIMIT = 16 * 1024 * 1024
_TICK = 0.25
# With a network somebody waits for answers.
_SHORT_TICK = 0.02
_PROGRAMS = ("qemu-system-x86_64", "/usr/libexec/qemu-kvm")
_ERROR_LINES = 10


@dataclass(frozen=True)
class Check:
    """What to boot, and what to look for.

    Attributes:
        machine: The machine.
        evidence: Directory for the console's text, the screenshot and the captures.
        pattern: Regular expression of the console's text; with ready "console" it says that the
            machine is up.
        ready: One of READINESS.
        timeout: Seconds to wait until the machine is up; None takes the accelerator's default.
        expectations: Where it is to answer then.
        answer_timeout: Seconds that it may take to do so; None takes the accelerator's default.
        require_answers: Whether the check fails when it does not.
        memory_timeout: Seconds to wait for the guest's memory.
        isolation: "bubblewrap" or "none".
    """

    machine: Machine
    evidence: Path
    pattern: str
    ready: str = READY_CONSOLE
    timeout: float | None = None
    expectations: tuple[Expectation, ...] = ()
    answer_timeout: float | None = None
    require_answers: bool = True
    memory_timeout: float = MEMORY_TIMEOUT
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
    memory_mb = check.machine.memory_mb + (0 if kvm else TCG_BUFFER_MB)
    with reserved(memory_mb, check.memory_timeout) as waited:
        result = {**_Boot(check, kvm).run(), "memory_wait": round(waited, 1)}
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
    missing = [answer for answer in result["answers"] if _is_missing(answer)]
    told = "; ".join(f"{_place_of(answer)}: {answer['reason']}" for answer in missing)
    if result["booted"] and missing and check.require_answers:
        result.update(state="no_answer", reason=told)
    write_text(check.evidence / RESULT_NAME, json.dumps(result, indent=2, sort_keys=True) + "\n")
    if not result["booted"]:
        raise BootCheckError(
            f"The machine did not boot: {result['reason']}. Its console: {result['console_path']}.",
            action=_ready_otherwise(check, result),
            **result,
        )
    if "state" in result:
        raise BootCheckError(
            f"The machine booted, and does not answer where it is to answer: {told}.",
            action="What passed its NICs is in the captures that nics[].capture_path names.",
            **result,
        )
    return result


def _ready_otherwise(check: Check, result: dict[str, Any]) -> str:
    """Return what to do about a machine whose serial console said nothing of a login in time."""
    if result["state"] != "timeout" or check.ready != READY_CONSOLE:
        return ""
    answered = [_place_of(answer) for answer in result["answers"] if answer["answered"]]
    runs = f"It answers at {', '.join(answered)}, so it runs. " if answered else ""
    return (
        f"{runs}Where the guest has no console on its serial port (console=ttyS0), use ready: answers"
        " (migrate_boot_ready): it is up then when its addresses answer."
    )


def _is_missing(answer: dict[str, Any]) -> bool:
    return bool(answer["required"]) and not answer["answered"]


def _place_of(answer: dict[str, Any]) -> str:
    address = answer["address"] or "the leased address"
    return f"{address} port {answer['port']}" if answer["port"] else str(address)


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
        self._timeout = _given(check.timeout, KVM_TIMEOUT if kvm else TCG_TIMEOUT)
        self._answer_timeout = _given(
            check.answer_timeout, KVM_ANSWER_TIMEOUT if kvm else TCG_ANSWER_TIMEOUT
        )
        self._console = Console(check.pattern)
        self._console_path = check.evidence / CONSOLE_NAME
        self._screenshot_path = check.evidence / SCREENSHOT_NAME
        self._errors = b""
        self._up_at: float | None = None

    def run(self) -> dict[str, Any]:
        check = self._check
        check.evidence.mkdir(parents=True, exist_ok=True)
        self._screenshot_path.unlink(missing_ok=True)
        with ExitStack() as stack:
            scratch = stack.enter_context(self._scratch())
            network = stack.enter_context(
                attached(check.machine.nics, check.expectations, check.evidence)
            )
            agent = None
            if check.ready == READY_AGENT:
                agent = Agent()
                stack.callback(agent.close)
            if check.machine.tpm:
                stack.enter_context(running_tpm(scratch, check.isolation))
            plumbing = Plumbing(
                # Relative to where QEMU runs: a socket's address has room for 108 bytes.
                qmp_socket=_SOCKET_NAME,
                variables=self._copy_variables(scratch),
                nics=network.descriptors,
                agent=None if agent is None else agent.descriptor,
                tpm_socket=TPM_SOCKET_NAME if check.machine.tpm else None,
            )
            running, seconds = self._run_qemu(plumbing, scratch, network, agent)
        return self._result(running, seconds, network, agent)

    def _run_qemu(
        self, plumbing: Plumbing, scratch: Path, network: Network, agent: Agent | None
    ) -> tuple[bool, float]:
        """Run QEMU until something is decided; return whether it still ran, and when that was."""
        check = self._check
        argv = qemu_arguments(check.machine, plumbing, program=find_qemu(), kvm=self._kvm)
        confinement = Confinement(
            writable=(scratch,),
            readonly=tuple(disk.path for disk in check.machine.disks),
            kvm=self._kvm,
            isolation=check.isolation,
        )
        sockets = [*plumbing.nics, *([] if plumbing.agent is None else [plumbing.agent])]
        began = time.monotonic()
        with start(
            argv,
            confinement,
            environment={"TMPDIR": str(scratch)},
            working_directory=scratch,
            pass_fds=sockets,
        ) as process:
            network.started()
            if agent is not None:
                agent.started()
            running = self._watch(process, began, network, agent)
            seconds = time.monotonic() - began
            if running:
                self._take_screenshot(scratch)
                process.stop()
        return running, seconds

    def _watch(
        self, process: SandboxedProcess, began: float, network: Network, agent: Agent | None
    ) -> bool:
        """Read the console and turn the networks; returns whether QEMU still runs."""
        room = _CONSOLE_LIMIT
        tick = _SHORT_TICK if network.wires or agent is not None else _TICK
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

            while process.pump(take, tick):
                now = time.monotonic() - began
                network.turn(now)
                if agent is not None:
                    agent.turn(now)
                if self._is_over(now, network, agent):
                    return True
        return False

    def _is_over(self, now: float, network: Network, agent: Agent | None) -> bool:
        if self._up_at is None and self._is_up(network, agent):
            self._up_at = now
        if self._up_at is None:
            return self._console.failure is not None or now >= self._timeout
        told = agent is None or agent.has_told(now)
        return told and network.is_over(now - self._up_at, self._answer_timeout)

    def _is_up(self, network: Network, agent: Agent | None) -> bool:
        if agent is not None:
            return agent.up
        if self._check.ready == READY_ANSWERS:
            return not network.missing()
        return bool(self._console.matched)

    def _take_screenshot(self, scratch: Path) -> None:
        """Save what the screen shows; a check without its picture is still a check."""
        picture = scratch / SCREENSHOT_NAME
        try:
            with Qmp(scratch / _SOCKET_NAME) as qmp:
                qmp.execute("screendump", filename=SCREENSHOT_NAME, format="png")
            os.replace(picture, self._screenshot_path)
        except (BootCheckError, OSError) as error:
            self._errors += f"\nNo screenshot: {error}".encode()

    def _result(
        self, running: bool, seconds: float, network: Network, agent: Agent | None
    ) -> dict[str, Any]:
        booted = self._up_at is not None
        result: dict[str, Any] = {
            "booted": booted,
            "answers": network.answers(),
            "nics": network.nics(),
            "matched": self._console.matched,
            "console_path": str(self._console_path),
            "screenshot_path": str(self._screenshot_path)
            if self._screenshot_path.exists()
            else None,
            "seconds": round(seconds if self._up_at is None else self._up_at, 2),
            "accelerator": "kvm" if self._kvm else "tcg",
            "isolation": self._check.isolation,
        }
        if agent is not None:
            result["agent"] = asdict(agent.facts)
        if not booted:
            result["state"], result["reason"] = self._failure(running, network)
            result["tail"] = self._console.tail()
        return result

    def _failure(self, running: bool, network: Network) -> tuple[str, str]:
        if self._console.failure is not None:
            return self._console.failure.name, self._console.failure.meaning
        if running:
            return "timeout", f"{self._missed(network)} within {self._timeout:.0f} s"
        lines = self._errors.decode(errors="replace").strip().splitlines()[-_ERROR_LINES:]
        said = "; ".join(line.strip() for line in lines)
        return "ended", f"QEMU ended by itself and said: {said or 'nothing'}"

    def _missed(self, network: Network) -> str:
        if self._check.ready == READY_AGENT:
            return "the QEMU guest agent did not answer"
        if self._check.ready == READY_ANSWERS:
            told = (f"{_place_of(answer)}: {answer['reason']}" for answer in network.missing())
            return f"it did not answer ({'; '.join(told)})"
        return f"nothing on its serial console matched {self._check.pattern!r}"

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


def _given(value: float | None, default: float) -> float:
    return default if value is None else value
