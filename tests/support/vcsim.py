# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test vCenter (tests/vcsim) as a context manager, and as a command.

    python -m ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim
        --inventory FILE --ready FILE [--port N] [further options of the program]

builds the program if need be and becomes it: it serves until SIGTERM, and writes
the ready file (JSON) when it does. tests/vcsim/README.md has the formats.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.tests.support import golang

#: Seconds that the simulator may take to serve, and to end.
START_TIMEOUT = 60.0
STOP_TIMEOUT = 10.0


class Vcsim:
    """A vCenter on a free port of 127.0.0.1 that ends with the with block.

    Args:
        inventory: The VMs, as tests/vcsim/README.md describes them. Paths are absolute.
        faults: What goes wrong from the start.
        lease_timeout: Seconds without progress after which a lease expires.
        options: Further options of the program by name, without the leading hyphen.
    """

    def __init__(
        self,
        inventory: Mapping[str, Any],
        faults: Sequence[Mapping[str, Any]] = (),
        lease_timeout: float | None = None,
        **options: str | int | float | bool,
    ) -> None:
        self._inventory = inventory
        self._faults = faults
        self._options = dict(options)
        if lease_timeout is not None:
            self._options["lease_timeout"] = f"{lease_timeout}s"
        self._process: subprocess.Popen[bytes] | None = None
        self._ready: dict[str, Any] = {}

    def __enter__(self) -> Vcsim:
        # What the program needs is built before there is anything to clean up.
        program = golang.programs() / "vcsim"
        self._scratch = tempfile.TemporaryDirectory(prefix="vcsim-")
        try:
            self._start(program, Path(self._scratch.name))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._scratch.cleanup()

    def _start(self, program: Path, scratch: Path) -> None:
        inventory, faults = scratch / "inventory.json", scratch / "faults.json"
        inventory.write_text(json.dumps(self._inventory), encoding="utf-8")
        faults.write_text(json.dumps(list(self._faults)), encoding="utf-8")
        ready = scratch / "ready.json"
        command = [
            str(program),
            f"-inventory={inventory}",
            f"-faults={faults}",
            f"-ready={ready}",
            f"-directory={scratch}",
            "-parent-death",
        ]
        for name, value in self._options.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            command.append(f"-{name.replace('_', '-')}={text}")
        self._log = scratch / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the simulator does not serve:\n{self.log()}")
            time.sleep(0.02)
        self._ready = json.loads(ready.read_text(encoding="utf-8"))

    @property
    def hostname(self) -> str:
        return str(self._ready["hostname"])

    @property
    def port(self) -> int:
        return int(self._ready["port"])

    @property
    def username(self) -> str:
        return str(self._ready["username"])

    @property
    def password(self) -> str:
        return str(self._ready["password"])

    @property
    def ca_path(self) -> str:
        """The PEM file with the authority that signed vCenter's certificate."""
        return str(self._ready["ca_path"])

    @property
    def thumbprint(self) -> str:
        """SHA-256 of vCenter's certificate: upper-case hex, colons between the bytes."""
        return str(self._ready["thumbprint"])

    @property
    def nfc_port(self) -> int:
        """The port of the ESXi host's side, for URLs whose host must be mapped."""
        return int(self._ready["nfc_port"])

    @property
    def status_url(self) -> str:
        return str(self._ready["status_url"])

    @property
    def pid(self) -> int:
        return int(self._ready["pid"])

    def log(self) -> str:
        """Return what the simulator has said so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def status(self) -> dict[str, Any]:
        """Return leases with their downloads, VMs, sessions, operations and faults."""
        return dict(self._call("GET", "/status"))

    def set_faults(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Replace the faults in force."""
        self._call("POST", "/faults", list(faults))

    def touch(self, vm: str) -> dict[str, Any]:
        """Change a VM, so that its changeVersion moves, and return its status."""
        return dict(self._call("POST", f"/vms/{vm}/touch"))

    def end_sessions(self) -> int:
        """Log everybody out and return how many that were."""
        return int(self._call("POST", "/sessions/end")["ended"])

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if method == "GET" else json.dumps(body).encode()
        request = urllib.request.Request(self.status_url + path, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error)["error"]) from None


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Serve a test vCenter until SIGTERM.",
        epilog="Other options go to the program as they are: see its -help.",
    )
    parser.add_argument("--inventory", required=True)
    parser.add_argument("--ready", required=True)
    parser.add_argument("--port", type=int, default=0)
    arguments, others = parser.parse_known_args()
    program = str(golang.programs() / "vcsim")
    command = [
        program,
        f"-inventory={arguments.inventory}",
        f"-ready={arguments.ready}",
        f"-port={arguments.port}",
        *others,
    ]
    os.execv(program, command)


if __name__ == "__main__":
    main()
