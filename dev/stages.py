#!/usr/bin/env python3
# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run every test and every lint, two stages at a time, each after what it needs.

Each stage is a script of dev/. Its output goes to .build/logs/STAGE.log and is
printed whole when it fails. The last line counts pytest's tests and the checks
of the other stages: "N passed, N failed".

Usage: dev/stages.py [STAGE…]    (all of them; what a stage needs comes with it)
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / ".build" / "logs"
HEARTBEAT = 60.0
LANES = 2


@dataclass(frozen=True)
class Stage:
    """A script, the stages whose work it builds on, and those that it would disturb."""

    name: str
    command: tuple[str, ...]
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


# In the order in which they start, as far as what they need allows.
STAGES = (
    Stage("conversion-host", ("dev/setup", "conversion-host")),
    Stage("simulator", ("dev/setup", "simulator")),
    Stage("guest", ("dev/setup", "guest")),
    Stage("unit", ("dev/unit",)),
    Stage("lint", ("dev/lint",), ("simulator",)),
    Stage("e2e", ("dev/e2e",), ("conversion-host", "simulator", "guest")),
    # The other long one: these two lanes keep both cores busy to the end.
    Stage("emulated", ("dev/emulated",), ("conversion-host", "simulator", "guest")),
    Stage("sanity", ("dev/sanity",)),
    # ansible-test keeps its state in the tree that it tests: one at a time.
    Stage("units", ("dev/units",), after=("sanity",)),
    Stage(
        "integration",
        ("dev/integration",),
        ("conversion-host", "simulator"),
        after=("sanity", "units"),
    ),
    Stage("molecule", ("dev/molecule",), ("conversion-host", "simulator")),
    Stage("peers", ("dev/setup", "peers")),
    Stage("system", ("dev/system",), ("conversion-host", "simulator", "guest", "peers")),
)


class Running:
    """One stage at work."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.log = LOGS / f"{stage.name}.log"
        self.started = time.monotonic()
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                stage.command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def seconds(self) -> float:
        """Return how long it has run."""
        return time.monotonic() - self.started

    def stop(self) -> None:
        """End it with all that it started."""
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        self.process.wait()


def counted(text: str, succeeded: bool) -> tuple[int, int]:
    """Return how many checks of a stage passed and failed, by its last summary line.

    A stage without such a line (ansible-test, molecule) counts as one check.
    """
    summaries = [line for line in text.splitlines() if re.search(r"\b\d+ (passed|failed)\b", line)]
    if not summaries:
        return (1, 0) if succeeded else (0, 1)
    last = summaries[-1]
    counts = {
        word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|errors?)", last)
    }
    failed = counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0)
    if not succeeded and not failed:
        failed = 1
    return counts.get("passed", 0), failed


def chosen(names: list[str]) -> list[Stage]:
    """Return the named stages with those that they need, in starting order."""
    by_name = {stage.name: stage for stage in STAGES}
    wanted: set[str] = set()

    def want(name: str) -> None:
        wanted.add(name)
        for other in by_name[name].needs:
            want(other)

    for name in names or by_name:
        want(name)
    return [stage for stage in STAGES if stage.name in wanted]


def main() -> int:
    """Run the stages; return 0 when all succeeded."""
    LOGS.mkdir(parents=True, exist_ok=True)
    waiting = chosen(sys.argv[1:])
    running: list[Running] = []
    done: set[str] = set()
    broken: list[str] = []
    passed = failed = 0
    began = last_word = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        while waiting or running:
            for stage in list(waiting):
                unfinished = {other.name for other in waiting}
                unfinished.update(job.stage.name for job in running)
                if any(need in broken for need in stage.needs):
                    print(
                        f"--      {stage.name}: not run, {', '.join(stage.needs)} is needed",
                        flush=True,
                    )
                    waiting.remove(stage)
                    broken.append(stage.name)
                    failed += 1
                elif (
                    len(running) < LANES
                    and done.issuperset(stage.needs)
                    and not unfinished.intersection(stage.after)
                ):
                    waiting.remove(stage)
                    running.append(Running(stage))
                    print(f"start   {stage.name}", flush=True)
            time.sleep(0.2)
            for job in [job for job in running if job.process.poll() is not None]:
                running.remove(job)
                succeeded = job.process.returncode == 0
                text = job.log.read_text(encoding="utf-8", errors="replace")
                more_passed, more_failed = counted(text, succeeded)
                if job.stage.command[0] == "dev/setup":
                    more_passed = 0  # made what tests need, which is no test
                passed += more_passed
                failed += more_failed
                if succeeded:
                    done.add(job.stage.name)
                    print(
                        f"ok      {job.stage.name}  {job.seconds():.0f} s, {more_passed} passed",
                        flush=True,
                    )
                else:
                    broken.append(job.stage.name)
                    print(
                        text,
                        f"FAILED  {job.stage.name}  {job.seconds():.0f} s",
                        sep="\n",
                        flush=True,
                    )
            if running and time.monotonic() - last_word > HEARTBEAT:
                last_word = time.monotonic()
                at_work = ", ".join(f"{job.stage.name} {job.seconds():.0f} s" for job in running)
                print(f"        … {at_work}", flush=True)
    finally:
        for job in running:
            job.stop()
    print(f"        {time.monotonic() - began:.0f} s in all; logs in .build/logs")
    if broken:
        print(f"        failed: {', '.join(broken)}")
    print(f"{passed} passed, {failed} failed")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
