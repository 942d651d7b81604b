# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the export as the module does, and print the seconds that the transfer took."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.export.module import run_export
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.export.request import ExportRequest
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.transfer import download
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.connection import VCenter
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.lookup import Selection


class NoDigest:
    """Takes the place of DigestSink, to tell what SHA-256 costs."""

    def __init__(self, algorithm: str) -> None:
        pass

    def write(self, data: memoryview) -> None:
        pass

    def finish(self) -> None:
        pass

    def close(self) -> None:
        pass

    def hexdigest(self) -> str:
        return "0" * 64


def main() -> None:
    options = json.loads(Path(sys.argv[1]).read_text())
    algorithm = "sha256"
    if "--no-digest" in sys.argv:
        download.DigestSink = NoDigest  # type: ignore[misc,assignment]
        # A digest that the host's would be compared with; so ask it for none of this kind.
        algorithm = "sha512"
    names = ("hostname", "username", "password", "port", "ca_path")
    result = run_export(
        VCenter(**{name: options[name] for name in names}),
        Selection(name=options["name"]),
        ExportRequest(
            Path(options["dest"]),
            checksum_algorithm=algorithm,
            working_copies=options.get("working_copies", False),
            check_space=False,
        ),
        check=False,
        warn=lambda text: print("WARNING", text),
    )
    print(f"seconds {result['duration']}")


if __name__ == "__main__":
    main()
