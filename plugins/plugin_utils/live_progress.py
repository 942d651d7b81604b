# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show how far a long module is, while it runs.

ansible-core streams nothing from inside a module. The module writes a small JSON file, and this
reads it, over a connection of its own, beside the module's: each line is printed at once, and is a
live event under ansible-runner and AWX. The module itself is run as any other, so that what ends
the play ends it too.
"""

from __future__ import annotations

import json
import posixpath
import shlex
import threading
import time
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.plugins.connection import ConnectionBase
from ansible.plugins.loader import connection_loader
from ansible.utils.display import Display

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.progress_file import FILE_NAME

# Seconds between two looks; a line is printed every so many percent or seconds.
_LOOK_EVERY = 2.0
_PRINT_PERCENT = 5
_PRINT_SECONDS = 30

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class LiveProgressAction(ActionBase):
    """Runs the module of the same name and prints its progress.

    A subclass says where the module writes it.
    """

    _supports_check_mode = True
    _supports_async = True
    _supports_diff = True

    @abstractmethod
    def progress_path(self, arguments: Mapping[str, Any]) -> str | None:
        """Return the file that the module writes its progress to, for these options of the task."""

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run the module and return its result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        path = self.progress_path(self._task.args)
        watcher = None
        if path and not self._task.async_val and not self._task.check_mode:
            watcher = _Watcher(self._second_connection(), path, self._name(task_vars or {}))
            watcher.start()
        try:
            outcome = self._execute_module(
                task_vars=task_vars, wrap_async=bool(self._task.async_val)
            )
        finally:
            if watcher is not None:
                watcher.stop()
        result.update(outcome)
        return result

    def _name(self, task_vars: Mapping[str, Any]) -> str:
        return str(task_vars.get("inventory_hostname", self._task.args.get("name", "")))

    def _second_connection(self) -> ConnectionBase:
        """Return a connection like the task's own, which is busy while the module runs."""
        connection: ConnectionBase = connection_loader.get(
            self._connection._load_name, self._play_context, task_uuid=self._task._uuid
        )
        connection._options = self._connection._options
        connection._options_set = True
        connection.set_become_plugin(self._connection.become)
        return connection


class TemporaryProgressAction(LiveProgressAction):
    """Runs a module that has no directory to write to but the task's temporary one."""

    # Has ansible-core make that directory before the module runs, and remove it afterwards.
    TRANSFERS_FILES = True

    def progress_path(self, arguments: Mapping[str, Any]) -> str | None:
        """Return the file in the directory that the module knows as its tmpdir."""
        directory = self._connection._shell.tmpdir
        return posixpath.join(directory, FILE_NAME) if directory else None


class _Watcher(threading.Thread):
    def __init__(self, connection: ConnectionBase, path: str, name: str) -> None:
        super().__init__(name="progress", daemon=True)
        self._connection = connection
        self._path = path
        self._lines = ProgressLines(name)
        self._ended = threading.Event()
        self._written: object = None

    def stop(self) -> None:
        self._ended.set()
        self.join(timeout=_LOOK_EVERY)

    def run(self) -> None:
        while not self._ended.wait(_LOOK_EVERY):
            try:
                state = self._read()
            except Exception:  # noqa: BLE001 - a connection of any kind; progress is a courtesy
                return
            if state is not None:
                line = self._lines.next_line(state, time.monotonic())
                if line:
                    Display().display(line)

    def _read(self) -> dict[str, Any] | None:
        if getattr(self._connection, "transport", "") == "local" and not self._connection.become:
            path = Path(self._path)
            text = path.read_text(encoding="utf-8") if path.exists() else ""
        else:
            command = f"cat {shlex.quote(self._path)}"
            become = self._connection.become
            if become:
                command = become.build_become_command(command, self._connection._shell)
            status, out, _error = self._connection.exec_command(command, sudoable=bool(become))
            text = out.decode("utf-8", "replace") if status == 0 else ""
        try:
            state: dict[str, Any] = json.loads(text)
        except ValueError:
            return None
        # What a run left that was killed is not written any more; clocks of two machines would
        # not tell.
        before, self._written = self._written, state.get("updated")
        return state if before not in (None, self._written) else None


class ProgressLines:
    """Decides when there is something to say, and says it in one line.

    Args:
        name: Of the VM, in front of each line.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._stage: str | None = None
        self._percent = 0.0
        self._printed = 0.0

    def next_line(self, state: Mapping[str, Any], now: float) -> str | None:
        """Return the line to print for this state of the module, or None.

        Args:
            state: What the module's progress file holds.
            now: Seconds of a clock that never goes back.
        """
        stage, percent = str(state.get("stage", "")), state.get("percent")
        moved = percent is not None and percent - self._percent >= _PRINT_PERCENT
        if stage == self._stage and not moved and now - self._printed < _PRINT_SECONDS:
            return None
        self._stage, self._percent, self._printed = stage, percent or 0.0, now
        return f"[{self._name}] {describe(state)}"


def describe(state: Mapping[str, Any]) -> str:
    """Return a progress file's content as a person reads it: names, percentages, bytes, time."""
    parts = []
    if state.get("percent") is not None:
        parts.append(f"{state['percent']:.0f} %")
    if state.get("bytes_done"):
        parts.append(_size(state["bytes_done"]))
    if state.get("bytes_per_second"):
        parts.append(f"{_size(state['bytes_per_second'])}/s")
    if state.get("seconds_left"):
        parts.append(f"about {_duration(state['seconds_left'])} left")
    return f"{state.get('stage', '')}: {', '.join(parts)}" if parts else str(state.get("stage", ""))


def _size(count: float) -> str:
    size, unit = float(count), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{size:.0f} B"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
