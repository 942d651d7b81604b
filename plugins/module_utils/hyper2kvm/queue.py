# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""FIX done by hyper2kvm's daemon, through the directories of its manifest workflow.

What daemon/manifest_workflow_daemon.py of 0.2.1 does, read and run:

- It takes files from to_be_processed/, moves them to processing/, and in the end to
  processed/<date>/ with NAME.report.json or to failed/<date>/ with NAME.error.json.
  A name is taken once in a daemon's life.
- Of a manifest it reads pipeline.load alone, and of that only source_type "vmdk" works;
  the image may be raw all the same. Everything else comes from its own command line: so
  it fixes one disk in place with its own options, and converts only when it was started
  with --to-output. The rest of a conversion is therefore done without it.
- It does not take a job back, and what its log says is not told apart by job.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..atomic import write_text
from .errors import ConversionError
from .log import Progress, kind_of_failure

_WAITING, _PROCESSING = "to_be_processed", "processing"
_DONE, _FAILED = "processed", "failed"
# What the daemon writes beside a finished job, a moment after it has moved it.
_ACCOUNTS = {_DONE: ".report.json", _FAILED: ".error.json"}
_LOOK_EVERY = 1.0
# Between two directories a job is nowhere for an instant; on a shared filesystem for longer.
_NOWHERE_FOR = 30.0
# Fields of the stage FIX with the value that the daemon takes when nothing else is said.
_DAEMON_FIXES_WITH = {
    "backup": True,
    "fstab_mode": "stabilize-all",
    "regen_initramfs": True,
    "remove_vmware_tools": False,
    "update_grub": True,
}


class StillProcessedError(ConversionError):
    """The daemon is still at work on a job, so its working copy must stay where it is."""


@dataclass(frozen=True)
class Queue:
    """hyper2kvm's workflow directory.

    Attributes:
        directory: What the daemon got as --manifest-workflow-dir.
        idle_timeout: Seconds that a job may lie there while the daemon is at no other one.
    """

    directory: Path
    idle_timeout: float


def check_queue(queue: Queue, document: dict[str, Any]) -> None:
    """Raise ConversionError unless a daemon could do what the manifest asks for.

    Args:
        queue: Where.
        document: The user's manifest.
    """
    if not (queue.directory / _WAITING).is_dir():
        raise ConversionError(
            f"{queue.directory} has no directory {_WAITING}, which hyper2kvm's daemon makes when"
            " it starts.",
            action="Start it with --manifest-workflow-dir, or correct queue_directory.",
        )
    fix = document.get("pipeline", {}).get("fix", {})
    ignored = [name for name in ("configuration", "hooks") if document.get(name)]
    ignored += [
        f"pipeline.fix.{name}"
        for name, value in _DAEMON_FIXES_WITH.items()
        if fix.get(name, value) != value
    ]
    if ignored:
        raise ConversionError(
            f"hyper2kvm's daemon ignores what the manifest says in {', '.join(ignored)}.",
            action="Take it out of the manifest, or convert with mode: direct.",
        )


@dataclass(frozen=True)
class Job:
    """One manifest in the queue.

    Attributes:
        queue: Where it is.
        name: Its file's name there.
        note: File beside the working copies that says where the job is, for the next run.
    """

    queue: Queue
    name: str
    note: Path

    @classmethod
    def submit(cls, queue: Queue, manifest: dict[str, Any], image: Path, note: Path) -> Job:
        """Put a manifest into the queue.

        Args:
            queue: Where.
            manifest: That of hyper2kvm's run; what the daemon reads is added.
            image: The working copy that is to be fixed.
            note: See Job.
        """
        load = {"source_type": "vmdk", "source_path": str(image)}
        content = {**manifest, "pipeline": {**manifest["pipeline"], "load": load}}
        vm_name = re.sub(r"[^A-Za-z0-9_-]+", "-", str(manifest["source"].get("vm_name", "vm")))
        job = cls(queue, f"{vm_name[:60]}-{os.urandom(6).hex()}.json", note)
        try:
            note.write_text(json.dumps({"directory": str(queue.directory), "name": job.name}))
            # Whole by the time that it has its name: the daemon reads it at once.
            write_text(queue.directory / _WAITING / job.name, json.dumps(content, indent=2), 0o600)
        except OSError as error:
            raise ConversionError(
                f"The manifest can't be put into {queue.directory}: {error.strerror}."
            ) from error
        return job

    @classmethod
    def refuse_active(cls, note: Path) -> None:
        """Take back the job that an earlier run left in a queue.

        Raises:
            StillProcessedError: The daemon is at work on it.
        """
        try:
            noted = json.loads(note.read_text(encoding="utf-8"))
            job = cls(Queue(Path(noted["directory"]), 0.0), str(noted["name"]), note)
        except (OSError, ValueError, KeyError, TypeError):
            return
        if job.place() == _PROCESSING:
            processing = job.queue.directory / _PROCESSING
            raise StillProcessedError(
                f"hyper2kvm's daemon is still at work on {job.name}, the job of an earlier run.",
                action=f"Wait until it has left {processing}; if no daemon runs, remove it there.",
            )
        job._take_back()
        note.unlink(missing_ok=True)

    def place(self) -> str:
        """Return the directory in which the job is, "" when it is in none."""
        for name in (_WAITING, _PROCESSING, _DONE, _FAILED):
            if self._file_in(name) is not None:
                return name
        return ""

    def wait(self, timeout: float, on_progress: Callable[[Progress], None]) -> dict[str, Any]:
        """Wait until the daemon has done the job, and return a report of it.

        Args:
            timeout: Seconds for all of it.
            on_progress: Told when it waits and when it is being fixed.

        Raises:
            ConversionError: The job failed, or nothing took it.
            RootNotFoundError: It failed since there is no root filesystem for it.
            StillProcessedError: The time is over and the daemon is at work on it.
        """
        began = seen = idle_since = time.monotonic()
        place = None
        try:
            while True:
                before, place, now = place, self.place(), time.monotonic()
                if place != before and place in (_WAITING, _PROCESSING):
                    on_progress(Progress("queued" if place == _WAITING else "fix by the daemon"))
                if place in _ACCOUNTS:
                    return self._account(place, now - began)
                if place:
                    seen = now
                if place != _WAITING or self._others_are_processed():
                    idle_since = now
                self._give_up(place, now - seen, now - idle_since, now - began, timeout)
                time.sleep(_LOOK_EVERY)
        except StillProcessedError:
            raise
        except BaseException:
            # Whatever ends the wait: what has not begun shall not begin.
            self._take_back()
            raise

    def _give_up(
        self, place: str, missing: float, idle: float, waited: float, timeout: float
    ) -> None:
        if missing > _NOWHERE_FOR:
            raise ConversionError(
                f"The job {self.name} has vanished from {self.queue.directory}.",
                action="Look at the log of hyper2kvm's daemon.",
            )
        if place == _WAITING and idle > self.queue.idle_timeout and self._take_back():
            raise ConversionError(
                f"No daemon of hyper2kvm took the job {self.name} from"
                f" {self.queue.directory / _WAITING} within {idle:.0f} s; it was taken back.",
                action="Start hyper2kvm's daemon on this host, or convert with mode: direct.",
            )
        if waited > timeout:
            if place == _WAITING and self._take_back():
                raise ConversionError(
                    f"The job {self.name} still waited in {self.queue.directory / _WAITING} at the"
                    f" time-out, after {waited:.0f} s; it was taken back.",
                    action="Raise the time-out, or let the daemon do more jobs at once.",
                )
            raise StillProcessedError(
                f"hyper2kvm's daemon was still at work on {self.name} at the time-out, after"
                f" {waited:.0f} s.",
                action="It can't be stopped from here, and its working copy stays. Run the task"
                f" again when it has left {self.queue.directory / _PROCESSING}.",
            )

    def _account(self, place: str, seconds: float) -> dict[str, Any]:
        file = self._file_in(place)
        account: dict[str, Any] = {}
        for _turn in range(10):
            if file is None:
                break
            try:
                text = file.with_name(file.name + _ACCOUNTS[place]).read_text(encoding="utf-8")
                account = json.loads(text)
                break
            except (OSError, ValueError):
                time.sleep(_LOOK_EVERY)
        self.note.unlink(missing_ok=True)
        if place == _FAILED:
            said = str(account.get("error", "it left no account of it"))
            raise kind_of_failure(said)(
                f"hyper2kvm's daemon failed: {said.rstrip('.')}.",
                action=f"Its account is beside {file}, the rest in the daemon's log.",
                job=str(file),
            )
        return {
            "pipeline": {
                "success": True,
                "duration_seconds": round(seconds, 2),
                "stages": {
                    "fix": {
                        "success": True,
                        "duration": round(seconds, 2),
                        "result": {"job": str(file), "daemon": account},
                    }
                },
            }
        }

    def _others_are_processed(self) -> bool:
        return any((self.queue.directory / _PROCESSING).glob("*.json"))

    def _take_back(self) -> bool:
        """Take the job out of the queue; returns whether the daemon had not begun."""
        try:
            (self.queue.directory / _WAITING / self.name).unlink()
        except OSError:
            return False
        self.note.unlink(missing_ok=True)
        return True

    def _file_in(self, place: str) -> Path | None:
        # Below a date, where it is finished; in processing it may have got a time stamp.
        stem = self.name[: -len(".json")]
        directory = self.queue.directory / place
        for pattern in (self.name, f"{stem}_*.json", f"*/{self.name}", f"*/{stem}_*.json"):
            found = next(iter(directory.glob(pattern)), None)
            if found is not None:
                return found
        return None
