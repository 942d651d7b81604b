# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hyper2kvm that is installed on this host: where, which version, whether it imports."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from ..sandbox.confinement import BASE_ENVIRONMENT
from ..sandbox.run import Completed, run
from .errors import ConversionError

# The release whose behaviour docs and verdict were measured on.
MEASURED_VERSION = "0.2.1"
DEFAULT_VENV = Path("/opt/hyper2kvm")

_INSTALL = (
    "Run the role hypersdk.hyper2kvm.conversion_host on this host, or give the path of the"
    " program as executable."
)
_VERSION = "import importlib.metadata as m; print(m.version('hyper2kvm'))"
# hyper2kvm starts without these and fails in the middle, or edits nothing.
_IMPORTS = (
    "import importlib, json\n"
    "failed = {}\n"
    "for name in ('guestfs', 'hyper2kvm.manifest.orchestrator', 'hyper2kvm.__main__'):\n"
    "    try:\n"
    "        importlib.import_module(name)\n"
    "    except Exception as error:\n"
    "        failed[name] = str(error)\n"
    "print(json.dumps(failed))\n"
)
_QUICK = 60.0
# pip writes either "#!/path/python3", or for long paths a shell script that says: exec "/path/python3".
_INTERPRETER = re.compile(rb"\A#!(?!/bin/sh)([^\n]+?)\s*\n|^'''exec'\s+\"?([^\"\s]+)", re.MULTILINE)


@dataclass(frozen=True)
class Installation:
    """An installed hyper2kvm.

    Attributes:
        executable: Its program.
        interpreter: The Python that the program runs under.
        version: Version of the package (the program's own --version says 0.2.0 in 0.2.1).
        isolation: How it was asked and will be run.
    """

    executable: Path
    interpreter: Path
    version: str
    isolation: str

    @property
    def directories(self) -> tuple[Path, ...]:
        """What the sandbox must show for it to run, should it lie in a hidden place."""
        return _directories(self.executable, self.interpreter)

    def check_imports(self) -> None:
        """Raise ConversionError unless hyper2kvm and libguestfs' binding import."""
        completed = _ask(self.executable, self.interpreter, _IMPORTS, self.isolation)
        failed = json.loads(completed.stdout) if completed.ok else {"python": completed.tail[-1:]}
        if not failed:
            return
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        action = _INSTALL
        if "guestfs" in failed:
            action = (
                "Install python3-guestfs (Debian, Ubuntu) or python3-libguestfs (RHEL, Fedora) and"
                " make hyper2kvm's venv from /usr/bin/python3 with --system-site-packages; the"
                " role hypersdk.hyper2kvm.conversion_host does both."
            )
        raise ConversionError(
            f"{self.executable} can't work, its imports fail: {reasons}.", action=action
        )


def find_installation(executable: str | None, *, isolation: str) -> Installation:
    """Return the hyper2kvm that will run.

    Args:
        executable: Path or name of the program; looked for beside this Python,
            on PATH and in /opt/hyper2kvm when None.
        isolation: How programs are run here: "bubblewrap" or "none".

    Raises:
        ConversionError: There is none, or it is broken.
    """
    program = _find_executable(executable)
    interpreter = _interpreter_of(program)
    completed = _ask(program, interpreter, _VERSION, isolation)
    if not completed.ok:
        said = completed.tail[-1] if completed.tail else "nothing"
        raise ConversionError(
            f"{interpreter}, the Python of {program}, has no package hyper2kvm; it said: {said}.",
            action=_INSTALL,
        )
    version = completed.stdout.decode().strip()
    return Installation(program, interpreter, version, isolation)


def _find_executable(executable: str | None) -> Path:
    if executable:
        candidates = [executable]
    else:
        candidates = [
            str(Path(sys.executable).parent / "hyper2kvm"),
            "hyper2kvm",
            str(DEFAULT_VENV / "bin" / "hyper2kvm"),
        ]
    search_path = os.pathsep.join((os.environ.get("PATH", ""), BASE_ENVIRONMENT["PATH"]))
    for candidate in candidates:
        found = shutil.which(candidate, path=search_path)
        if found:
            return Path(found).absolute()
    raise ConversionError(
        f"hyper2kvm is not installed here (looked for {', '.join(candidates)}).", action=_INSTALL
    )


def _interpreter_of(program: Path) -> Path:
    with program.open("rb") as file:
        match = _INTERPRETER.search(file.read(1024))
    if match:
        named = (match.group(1) or match.group(2)).decode(errors="replace").split()
        if named and Path(named[0]).name != "env":
            return Path(named[0])
    return program.parent / "python3"


def _ask(program: Path, interpreter: Path, script: str, isolation: str) -> Completed:
    return run(
        [str(interpreter), "-I", "-c", script],
        readonly=_directories(program, interpreter),
        timeout=_QUICK,
        isolation=isolation,
    )


def _directories(program: Path, interpreter: Path) -> tuple[Path, ...]:
    return tuple(sorted({program.parent.parent, interpreter.parent.parent}))
