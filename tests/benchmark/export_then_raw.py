# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run an exporter, then have qemu-img convert its disks to raw: the usual two steps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> None:
    directory, command = Path(sys.argv[1]), sys.argv[2:]
    subprocess.run(command, check=True)
    for disk in sorted(directory.rglob("*.vmdk")):
        subprocess.run(
            ["qemu-img", "convert", "-O", "raw", str(disk), str(disk.with_suffix(".raw"))],
            check=True,
        )


if __name__ == "__main__":
    main()
