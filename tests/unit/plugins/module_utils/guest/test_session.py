# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the program that runs in the sandbox is started, and what becomes of its failures.

What it does with a guest's disks is for the system tests.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest import session
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.appliance import Disk
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.repair import Finding
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.session import (
    GuestError,
    GuestSession,
    Reading,
    errors,
)

SESSION = Path(str(session.__file__))
MODULE_UTILS = SESSION.parents[1]


def without_guestfs(scratch: Path) -> GuestSession:
    """A session whose Python has no libguestfs, or is not even a Python."""
    return GuestSession(
        interpreter=Path(sys.executable),
        directories=[],
        scratch=scratch,
        cache=scratch,
        environment={},
        isolation="none",
    )


def test_the_program_s_own_errors_come_out_as_ours(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path / "no-such-disk"), "raw")
    with pytest.raises(GuestError, match=r"no module guestfs|no-such-disk"):
        without_guestfs(tmp_path).read([disk], timeout=60)
    request = json.loads((tmp_path / "guest-read.json").read_text())
    assert request["action"] == "read"
    assert request["disks"] == [{"path": disk.path, "format": "raw"}]


def program(directory: Path, script: str) -> GuestSession:
    made = directory / "python"
    made.write_text(f"#!/bin/sh\n{script}\n")
    made.chmod(0o755)
    broken = without_guestfs(directory)
    return GuestSession(**{**vars(broken), "interpreter": made})


def test_one_that_dies_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match=r"exit status 3 and said: out of memory") as caught:
        program(tmp_path, "echo out of memory >&2; exit 3").read([], timeout=60)
    assert caught.value.action


def test_one_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match=r"could not be looked at within"):
        program(tmp_path, "exec sleep 60").read([], timeout=0.5)


def test_an_answer_of_an_earlier_start_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "guest-read-answer.json").write_text('{"system": {}, "findings": []}')
    with pytest.raises(GuestError):
        program(tmp_path, "exit 0").read([], timeout=60)


def test_a_guest_s_bytes_that_are_no_text_can_be_shown(tmp_path: Path) -> None:
    # As inside.py writes them; what goes back to it stays as it is.
    answer = r'{"system": {"type": "linux"}, "originals": "\udcff", "findings":' + (
        r' [{"severity": "error", "path": "/", "message": "\udcff.", "action": ""}]}'
    )
    (tmp_path / "answer").write_text(answer)
    script = f"cp {tmp_path}/answer {tmp_path}/guest-read-answer.json"
    reading = program(tmp_path, script).read([], timeout=60)
    assert reading.findings[0].message == "?."
    assert reading.document["originals"] == "\udcff"


def test_it_runs_out_of_the_zip_that_ansible_sends(tmp_path: Path) -> None:
    # The path within is what AnsiballZ gives a collection's code; only .py files come along.
    archive = tmp_path / "payload.zip"
    inside = Path(*MODULE_UTILS.parts[MODULE_UTILS.parts.index("ansible_collections") :])
    with zipfile.ZipFile(archive, "w") as payload:
        for path in sorted(MODULE_UTILS.rglob("*.py")):
            payload.write(path, inside / path.relative_to(MODULE_UTILS))
        for parent in [inside, *list(inside.parents)[:-1]]:
            payload.writestr(f"{parent}/__init__.py", "")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        f" from {'.'.join(inside.parts)}.guest import session;"
        " print(session.__file__); print(*session._code());"
        " from pathlib import Path; here = Path(sys.argv[2]);"
        " made = session.GuestSession(interpreter=Path(sys.executable), directories=[],"
        " scratch=here, cache=here, environment={}, isolation='none')\n"
        "try: made.read([], timeout=60)\n"
        "except session.GuestError as error: print(error.message)\n"
    )
    argv = [sys.executable, "-I", "-c", code, str(archive), str(tmp_path)]
    completed = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr
    printed = completed.stdout.splitlines()
    assert printed[0].startswith(f"{archive}/ansible_collections/")
    assert printed[1] == f"{archive} {archive}"
    # The program was found there, and ran as far as it can without disks.
    assert "no module guestfs" in printed[2] or "appliance" in printed[2]


def test_only_errors_make_a_conversion_fail() -> None:
    warning, error = Finding("warning", "/", "w", ""), Finding("error", "/", "e", "")
    assert errors([warning, error]) == (error,)


@pytest.mark.parametrize(
    ("system", "encrypted", "severities", "ends"),
    [
        ("", ["/dev/sda2"], ["error"], True),
        ("linux", [], ["warning", "error"], True),
        ("linux", [], ["warning"], False),
        # hyper2kvm says itself that it finds none, and how it looked.
        ("", [], ["error"], False),
    ],
)
def test_when_fix_is_in_vain(
    system: str, encrypted: list[str], severities: list[str], ends: bool
) -> None:
    document = {"system": {"type": system}, "encrypted": encrypted}
    findings = tuple(Finding(severity, "/", "", "") for severity in severities)
    assert Reading(document, findings, ()).ends_fix is ends
