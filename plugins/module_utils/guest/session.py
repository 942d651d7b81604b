# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guest's room seen from outside the sandbox: what is asked of inside.py, and what it says."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..atomic import write_text
from ..errors import Hyper2KvmError
from ..sandbox.limits import UNLIMITED, Limits
from ..sandbox.run import Completed, run

# The import makes Ansible ship the program together with the module; here it is never called.
from . import inside
from .appliance import Disk
from .repair import ERROR, Finding, Repair
from .storage import disk_number
from .subvolumes import HiddenRoot

_DOING = {"read": "looked at", "show": "prepared for FIX", "repair": "examined and repaired"}
_COLLECTIONS = "ansible_collections"
_START = (
    "import importlib, sys; sys.path.insert(0, sys.argv[1]);"
    " importlib.import_module(sys.argv[2]).main(*sys.argv[3:])"
)


class GuestError(Hyper2KvmError):
    """A guest's disks can't be looked at or repaired."""


@dataclass(frozen=True)
class Reading:
    """What was seen of a guest before anything was done to it.

    Attributes:
        document: As inside.py gave it, to be given back to it.
        findings: What is wrong with it already.
        disks: Numbers, from 0, of the disks that its system is on.
    """

    document: dict[str, Any]
    findings: tuple[Finding, ...]
    disks: tuple[int, ...]

    @property
    def system(self) -> str:
        """linux, windows, or "" when no operating system was found."""
        found: str = self.document["system"]["type"]
        return found

    @property
    def ends_fix(self) -> bool:
        """Whether FIX is in vain, since the guest can't be looked into or repaired after it.

        Where there is no system at all FIX finds that out by itself, and its log says how.
        """
        has_system = bool(self.system or self.document["encrypted"])
        return has_system and bool(errors(self.findings))

    @property
    def hidden_root(self) -> HiddenRoot | None:
        """Its root, if that is on a subvolume that has to be known to be found."""
        found = self.document.get("hidden_root")
        return HiddenRoot.of(found) if found else None


@dataclass(frozen=True)
class Repaired:
    """What was done to a guest after FIX.

    Attributes:
        guest: Its state, as plain values, and how many seconds each part took.
        repairs: What was changed.
        findings: What is wrong with it still.
    """

    guest: dict[str, Any]
    repairs: tuple[Repair, ...]
    findings: tuple[Finding, ...]

    def result(self) -> dict[str, Any]:
        """Return it as keys of a module's result."""
        return {
            "guest": self.guest,
            "repaired": [asdict(repair) for repair in self.repairs],
            "findings": [asdict(finding) for finding in self.findings],
        }


@dataclass(frozen=True)
class GuestSession:
    """Starts inside.py in the sandbox, each time with a new appliance.

    Attributes:
        interpreter: The Python of hyper2kvm's venv, which has libguestfs' binding.
        directories: What the sandbox must show for it to run.
        scratch: Directory for requests, answers and temporary files.
        cache: Directory of libguestfs' appliance.
        environment: Variables for libguestfs.
        kvm: Whether KVM works.
        isolation: "bubblewrap" or "none".
        limits: What it may take of the host.
        nics: The VM's network adapters, as its manifest has them.
        injected: Paths in the guest that hyper2kvm puts the user's own files to.
        macs: MAC addresses that adapters have on KVM, by their ids, where they are other ones.
    """

    interpreter: Path
    directories: Sequence[Path]
    scratch: Path
    cache: Path
    environment: Mapping[str, str]
    kvm: bool = False
    isolation: str = "bubblewrap"
    limits: Limits = UNLIMITED
    nics: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    injected: Sequence[str] = ()
    macs: Mapping[str, str] = field(default_factory=dict)

    def read(
        self, disks: Sequence[Disk], *, timeout: float, cancelled: threading.Event | None = None
    ) -> Reading:
        """Look at a guest without changing it.

        Args:
            disks: Its disks in the VM's order, usually the exported ones.
            timeout: Seconds.
            cancelled: Ends it when it is set.

        Raises:
            GuestError: It can't be looked at.
        """
        document = self._ask("read", disks, [], {}, timeout, cancelled)
        return Reading(
            document=document,
            findings=_findings(document),
            disks=tuple(disk_number(name) for name in document.get("disks", ())),
        )

    def show(self, boot: Disk, root: HiddenRoot, *, timeout: float) -> None:
        """Have hyper2kvm's FIX find a root; repair() must be told of it.

        Args:
            boot: The working copy of the boot disk, which has all of the root's filesystem.
            root: The root.
            timeout: Seconds.

        Raises:
            GuestError: It can't be written.
        """
        more = {"shown": asdict(root), "writable": [boot.path]}
        self._ask("show", [boot], [Path(boot.path)], more, timeout, None)

    def repair(
        self,
        disks: Sequence[Disk],
        reading: Reading,
        *,
        firmware: str,
        repair: bool,
        guest_network: str,
        timeout: float,
        shown: HiddenRoot | None = None,
    ) -> Repaired:
        """Examine a guest that hyper2kvm has fixed, repair it, and examine it again.

        Args:
            disks: Its working copies in the VM's order; only those with its system are written.
            reading: What was seen before FIX.
            firmware: "bios" or "uefi".
            repair: Whether anything may be changed for its boot.
            guest_network: "keep" puts its network back as it was, "hyper2kvm" leaves it.
            timeout: Seconds.
            shown: The root that FIX was shown.

        Raises:
            GuestError: It can't be looked at, or can't be written.
        """
        writable = [Path(disk.path) for n, disk in enumerate(disks) if n in reading.disks]
        document = self._ask(
            "repair",
            disks,
            writable,
            {
                "reading": reading.document,
                "firmware": firmware,
                "repair": repair,
                "guest_network": guest_network,
                "writable": [str(path) for path in writable],
                "shown": asdict(shown) if shown is not None else None,
            },
            timeout,
            None,
        )
        return Repaired(
            guest={**document["guest"], "seconds": document["seconds"]},
            repairs=tuple(Repair(**repair) for repair in document["repaired"]),
            findings=_findings(document),
        )

    def _ask(
        self,
        action: str,
        disks: Sequence[Disk],
        writable: Sequence[Path],
        more: Mapping[str, Any],
        timeout: float,
        cancelled: threading.Event | None,
    ) -> dict[str, Any]:
        request_path = self.scratch / f"guest-{action}.json"
        answer_path = self.scratch / f"guest-{action}-answer.json"
        answer_path.unlink(missing_ok=True)
        request = {
            "action": action,
            "disks": [asdict(disk) for disk in disks],
            "nics": [dict(nic) for nic in self.nics],
            "injected": list(self.injected),
            "macs": dict(self.macs),
            "timeout": timeout,
            **more,
        }
        # A guest's network files hold passwords.
        write_text(request_path, json.dumps(request), 0o600)
        root, code = _code()
        completed = run(
            [
                *(str(self.interpreter), "-I", "-B", "-c", _START),
                *(str(root), inside.__name__, str(request_path), str(answer_path)),
            ],
            writable=[self.scratch, self.cache, *writable],
            readonly=[
                *self.directories,
                code,
                *(Path(disk.path) for disk in disks if Path(disk.path) not in writable),
            ],
            environment={**self.environment, "TMPDIR": str(self.scratch)},
            timeout=timeout,
            kvm=self.kvm,
            isolation=self.isolation,
            limits=self.limits,
            cancelled=cancelled,
        )
        return _answer(action, completed, answer_path)


def errors(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings for which a conversion fails."""
    return tuple(finding for finding in findings if finding.severity == ERROR)


def _answer(action: str, completed: Completed, answer_path: Path) -> dict[str, Any]:
    doing = _DOING[action]
    if completed.timed_out:
        raise GuestError(
            f"The guest's disks could not be {doing} within {completed.seconds:.0f} s.",
            action="Raise the time-out; without KVM, making an initramfs takes minutes.",
        )
    try:
        answer: dict[str, Any] = json.loads(answer_path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        said = [line.strip() for line in completed.tail if line.strip()]
        raise GuestError(
            f"The guest's disks could not be {doing}; the program that does it ended with exit"
            f" status {completed.returncode} and said: {said[-1] if said else 'nothing'}.",
            action="See whether conversion_host_info finds libguestfs working on this host.",
        ) from error
    if "error" in answer:
        failure = answer["error"]
        raise GuestError(failure["message"], action=failure["action"])
    return {
        key: _printable(value) if key in ("guest", "repaired", "findings") else value
        for key, value in answer.items()
    }


def _printable(value: Any) -> Any:
    """Return *value* without the escapes of a guest's bytes that are no UTF-8, which can't be shown."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _findings(document: Mapping[str, Any]) -> tuple[Finding, ...]:
    return tuple(Finding(**finding) for finding in document["findings"])


def _code() -> tuple[Path, Path]:
    """Return the entry of sys.path that this code was imported by, and what of it to show.

    That is a directory of collections, or the zip that Ansible sends a module in.
    """
    here = Path(__file__)
    depth = here.parts.index(_COLLECTIONS)
    root = Path(*here.parts[:depth]).resolve()
    if root.is_file():
        return root, root
    return root, root.joinpath(*here.parts[depth:]).parents[1]
