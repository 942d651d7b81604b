# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""hyper2kvm_convert with the real hyper2kvm: how it compresses, what it takes of the host, how far it is."""

from __future__ import annotations

import json
import random
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.tests.support import exported
from ansible_collections.hypersdk.hyper2kvm.tests.support.converting import WITHOUT_FIX, Convert
from ansible_collections.hypersdk.hyper2kvm.tests.support.exported import Exported
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import run_module


def qcow2_of(path: Path) -> dict[str, Any]:
    command = ["qemu-img", "info", "--output=json", str(path)]
    info: dict[str, Any] = json.loads(
        subprocess.run(command, check=True, capture_output=True).stdout
    )
    return {"size": path.stat().st_size, **info["format-specific"]["data"]}


def test_compression(convert: Convert, tmp_path: Path) -> None:
    """The option decides, then the manifest; its level is left out, with which qemu-img would fail."""
    disk = tmp_path / "text.raw"
    disk.write_bytes((b"the same over and over again\n" * 150_000).ljust(8 << 20, b"\0"))
    pipeline = {"convert": {"enabled": True, "compress": True, "compress_level": 9}}
    vm = exported.make(tmp_path / "web01", [disk], pipeline=pipeline)
    compressed = convert(vm)
    assert compressed.get("changed") is True, compressed
    image = Path(compressed["outputs"][0]["path"])
    assert (qcow2_of(image)["size"] < 2 << 20, qcow2_of(image)["compression-type"]) == (
        True,
        "zstd",
    )
    assert "compress_level" in str(compressed["warnings"])
    assert "attempt" not in Path(compressed["log_path"]).read_text()
    plain = convert(vm, compress=False)
    assert plain["changed"] is True
    assert "warnings" not in plain
    assert qcow2_of(image)["size"] > 4 << 20
    assert convert(vm, compress=False)["changed"] is False


def test_the_rest_of_the_host_comes_first(
    convert: Convert, conversion_python: Path, small: Exported, tmp_path: Path
) -> None:
    seen = small.out / "limits"
    program = tmp_path / "bin" / "hyper2kvm"
    program.parent.mkdir()
    program.write_text(
        f"#!{conversion_python}\n"
        "import os, resource, sys\n"
        f"with open({str(seen)!r}, 'w') as file:\n"
        "    print(os.nice(0), resource.getrlimit(resource.RLIMIT_AS)[0] >> 20, file=file)\n"
        f"os.execv({str(convert.executable)!r}, [{str(convert.executable)!r}, *sys.argv[1:]])\n"
    )
    program.chmod(0o755)
    options = {"stages": WITHOUT_FIX, "executable": str(program)}
    result = convert(small, nice=7, memory_limit=3000, **options)
    assert result.get("changed") is True, result
    assert seen.read_text() == "7 3000\n"
    # How it is run makes no difference to what comes out.
    assert convert(small, nice=3, memory_limit=0, **options)["changed"] is False


def test_how_far_it_is_can_be_read_meanwhile(convert: Convert, tmp_path: Path) -> None:
    """By what is read of what the disk holds: half of this one is empty, and the rest compresses well."""
    disk = tmp_path / "text.raw"
    words = [random.Random(number).randbytes(9) for number in range(400)]
    chooser = random.Random(1)
    with disk.open("wb") as file:
        for _turn in range(192):
            file.write(b"".join(chooser.choices(words, k=(1 << 20) // 9)))
        file.truncate(1 << 30)
    vm = exported.make(tmp_path / "web01", [disk])
    arguments = convert.options(vm, stages=["convert"], nice=19)
    states: list[dict[str, Any]] = []
    with ThreadPoolExecutor(max_workers=1) as executor:
        done = executor.submit(run_module, "hyper2kvm_convert", arguments)
        while not done.done():
            with suppress(OSError, ValueError):
                state = json.loads((vm.out / ".conversion-progress.json").read_text())
                if state["stage"] == "convert disk-0" and state not in states:
                    states.append(state)
            time.sleep(0.1)
        assert done.result().get("changed") is True, done.result()
    percents = [state["percent"] for state in states if state["percent"] is not None]
    assert len(percents) >= 3, states
    assert percents == sorted(percents)
    assert percents[-1] > 60
    assert any(state["seconds_left"] for state in states)
