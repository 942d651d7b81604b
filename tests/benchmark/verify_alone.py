# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare an export with its record, as the module does, and print the seconds it took."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.export.record import read_record
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.export.verify import changed_files


def main() -> None:
    directory = Path(sys.argv[1])
    record = read_record(directory)
    if record is None:
        sys.exit(f"{directory} holds no export")
    started = time.monotonic()
    if changed_files(directory, record):
        sys.exit("the export has changed")
    print(f"seconds {time.monotonic() - started}")


if __name__ == "__main__":
    main()
