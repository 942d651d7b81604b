# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start one command from a small process and print what it took.

A process begins with its parent's peak memory, so a large parent would hide what the command used.
"""

import json
import os
import sys
import time


def main() -> None:
    started = time.monotonic()
    process = os.fork()
    if not process:
        os.execvp(sys.argv[1], sys.argv[1:])
    _pid, status, usage = os.wait4(process, 0)
    account = {
        "wall": time.monotonic() - started,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / 1024,
        "status": status,
    }
    os.write(int(os.environ["ACCOUNT_DESCRIPTOR"]), json.dumps(account).encode())


if __name__ == "__main__":
    main()
