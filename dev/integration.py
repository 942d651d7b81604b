# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start a simulator, tell the integration targets where it is, run ansible-test.

The targets are YAML and know nothing of how the simulator comes about: it is
described in tests/integration/integration_config.yml of the installed tree, a
file that ansible-test passes to each of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.support import small_vms
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim

DEV = Path(__file__).resolve().parent
INSTALLED = Path(small_vms.__file__).parents[2]


def main() -> int:
    """Run the targets; return ansible-test's exit status."""
    with (
        tempfile.TemporaryDirectory(dir=DEV.parent / ".build/tmp") as scratch,
        Vcsim(small_vms.make(Path(scratch))) as vcenter,
    ):
        python = os.environ["HYPER2KVM_PYTHON"]
        configuration = {
            # Modules run where they do in production: on the conversion host's interpreter.
            "ansible_python_interpreter": python,
            "conversion_host_python": python,
            "hyper2kvm_executable": os.environ["HYPER2KVM_EXECUTABLE"],
            "simulator": {
                "hostname": vcenter.hostname,
                "port": vcenter.port,
                "username": vcenter.username,
                "password": vcenter.password,
                "ca_path": str(vcenter.ca_path),
                "thumbprint": vcenter.thumbprint,
            },
        }
        # JSON is YAML.
        (INSTALLED / "tests/integration/integration_config.yml").write_text(
            json.dumps(configuration, indent=2), encoding="utf-8"
        )
        return subprocess.run(
            [DEV / "ansible-test", "integration", "--local", "--color", "no", *sys.argv[1:]],
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
