# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""hyper2kvm's own daemon, in our sandbox, as docs/converting.md tells to run it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from ...plugins.module_utils.hyper2kvm.environment import CACHE_VARIABLE, hyper2kvm_environment
from ...plugins.module_utils.sandbox.kvm_device import kvm_works
from ...plugins.module_utils.sandbox.run import run
from .cache import cache_dir

_START_SECONDS = 60


@contextmanager
def running(executable: Path, directory: Path, *, images: Path) -> Iterator[Path]:
    """Run the daemon until the block ends, and yield its workflow directory.

    Args:
        executable: hyper2kvm's program.
        directory: For the daemon's own files; made.
        images: Directory of the VMs, whose disks it fixes.
    """
    queue = directory / "queue"
    for path in (queue, directory / "tmp", images):
        path.mkdir(parents=True, exist_ok=True)
    kvm = kvm_works()
    environment = hyper2kvm_environment(
        {CACHE_VARIABLE: str(cache_dir("appliance")), "TMPDIR": str(directory / "tmp")}, kvm=kvm
    )
    command = [
        *(str(executable), "--cmd", "daemon", "--daemon", "--manifest-workflow-mode"),
        *("--manifest-workflow-dir", str(queue), "--output-dir", str(directory / "output")),
    ]
    ended = threading.Event()
    with ThreadPoolExecutor(max_workers=1) as executor:
        daemon = executor.submit(
            run,
            command,
            writable=[directory, images, Path(environment[CACHE_VARIABLE])],
            readonly=[executable.parent.parent],
            environment=environment,
            timeout=3600,
            log_path=directory / "daemon.log",
            kvm=kvm,
            cancelled=ended,
        )
        try:
            deadline = time.monotonic() + _START_SECONDS
            log = directory / "daemon.log"
            while "daemon ready" not in (log.read_text() if log.exists() else ""):
                assert not daemon.done() and time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            yield queue
        finally:
            ended.set()
