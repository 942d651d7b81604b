# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""hyper2kvm's own loader of manifests, run with hyper2kvm's interpreter."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

_PROGRAM = """
import json, sys
from hyper2kvm.manifest.loader import ManifestLoader
loader = ManifestLoader()
loader.load(sys.argv[1])
loader.verify_checksums()
print(json.dumps({
    "boot": loader.get_boot_disk().id,
    "firmware": loader.get_firmware(),
    "stages": [s for s in ("inspect", "fix", "convert", "validate") if loader.is_stage_enabled(s)],
    "output": str(loader.get_output_directory()),
    "format": loader.get_output_format(),
}))
"""


def interpreter() -> str:
    """Return the interpreter of hyper2kvm's environment."""
    python = os.environ.get("HYPER2KVM_PYTHON")
    assert python, (
        "HYPER2KVM_PYTHON must name the interpreter of hyper2kvm's environment (make setup)."
    )
    return python


def hyper2kvm_loads(path: Path) -> dict[str, Any]:
    """Return what hyper2kvm's loader makes of a manifest; it holds the checksums against the files.

    Raises:
        AssertionError: It refuses it.
    """
    done = subprocess.run(
        [interpreter(), "-c", _PROGRAM, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
