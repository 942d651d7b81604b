# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Have openssl compute the SHA-256 of files, a process for each, and print the seconds it took."""

from __future__ import annotations

import subprocess
import sys
import time


def main() -> None:
    started = time.monotonic()
    processes = [subprocess.Popen(["openssl", "dgst", "-sha256", path]) for path in sys.argv[1:]]
    codes = [process.wait() for process in processes]
    if any(codes):
        sys.exit("openssl failed")
    print(f"seconds {time.monotonic() - started}")


if __name__ == "__main__":
    main()
