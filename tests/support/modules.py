# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a module as ansible-core does: as a process of its own that reads its arguments and prints its result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

#: Directory that holds ansible_collections, by the path that the tests were imported from.
COLLECTIONS_ROOT = Path(__file__).parents[5]


def run_module(
    name: str,
    args: Mapping[str, Any],
    *,
    check: bool = False,
    diff: bool = False,
    environment: Mapping[str, str] | None = None,
    timeout: float = 600,
    python: str = sys.executable,
    prefix: Sequence[str] = (),
) -> dict[str, Any]:
    """Run one of the collection's modules and return its result.

    Args:
        name: Name of the module, without its namespace.
        args: Its options.
        check: Whether it runs in check mode.
        diff: Whether it returns the difference.
        environment: Variables to set besides those of this process.
        timeout: Seconds after which it is killed.
        python: Interpreter to run it with; it needs ansible-core.
        prefix: Program, with its arguments, that runs it.

    Returns:
        What the module printed; "failed" is in it for a task that fails.

    Raises:
        AssertionError: It printed something other than one result.
    """
    arguments = {**args, "_ansible_check_mode": check, "_ansible_diff": diff}
    # ansible-core 2.19 and newer read a serialization profile as an option; without
    # one they take the legacy one, which is plain JSON as before.
    done = subprocess.run(
        [*prefix, python, "-m", f"ansible_collections.hypersdk.hyper2kvm.plugins.modules.{name}"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        env={**os.environ, "PYTHONPATH": str(COLLECTIONS_ROOT), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    try:
        result = json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise AssertionError(
            f"{name} printed no result (exit status {done.returncode}):\n{done.stdout}\n{done.stderr}"
        ) from error
    if not isinstance(result, dict):
        raise AssertionError(f"{name} printed no object:\n{done.stdout}")
    if done.returncode != 0 and not result.get("failed"):
        raise AssertionError(f"{name} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return result
