# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""hyper2kvm's own daemon, in our sandbox, as docs/converting.md tells to run it, and work for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...plugins.module_utils.hyper2kvm.environment import CACHE_VARIABLE, hyper2kvm_environment
from ...plugins.module_utils.sandbox.kvm_device import kvm_works
from ...plugins.module_utils.sandbox.run import run
from .cache import cache_dir
from .modules import run_module

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


def convert(manifest: Path, executable: Path, queue: Path, **options: Any) -> dict[str, Any]:
    """Return what hyper2kvm_convert says of a VM that it gives to the daemon."""
    return run_module(
        "hyper2kvm_convert",
        {
            "manifest": str(manifest),
            "executable": str(executable),
            "environment": {CACHE_VARIABLE: str(cache_dir("appliance"))},
            "mode": "queue",
            "queue_directory": str(queue),
            **options,
        },
        timeout=1800,
    )


def files_of(queue: Path) -> list[str]:
    """Return what lies in the queue, by its directory, but for dates and the daemon's statistics."""
    return sorted(
        f"{path.relative_to(queue).parts[0]}/*{''.join(path.suffixes)}"
        for path in queue.rglob("*.json")
        if path.parent.name != ".stats"
    )
