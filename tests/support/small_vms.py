# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""VMs with disks of a few MiB, for tests in which no guest has to boot.

    python -m ansible_collections.hypersdk.hyper2kvm.tests.support.small_vms DIRECTORY

writes the disks and inventory.json, which the simulator is started with.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.tests.support import compressible, stream_optimized

MIB = 1 << 20
INVENTORY = "inventory.json"


def make(directory: Path) -> dict[str, Any]:
    """Write the disks and return the inventory.

    There are small01 (off; two disks, one in ESXi's form and one in qemu-img's)
    and live01 (on, with VMware Tools).
    """
    directory.mkdir(parents=True, exist_ok=True)
    boot, raw, data = (directory / name for name in ("boot.vmdk", "data.raw", "data.vmdk"))
    compressible.write(boot, 8 * MIB, seed=1)
    compressible.write(raw, 4 * MIB, seed=2, form="raw")
    stream_optimized.write(raw, data, form="qemu")
    raw.unlink()
    shared = {"guest_id": "debian12_64Guest", "guest_full_name": "Debian GNU/Linux 12 (64-bit)"}
    return {
        "vms": [
            {
                **shared,
                "name": "small01",
                "folder": "production/web",
                "firmware": "bios",
                "cpu": 2,
                "memory_mb": 1536,
                "power_state": "poweredOff",
                "disks": [{"path": str(boot)}, {"path": str(data)}],
                "nics": [
                    {
                        "mac": "00:50:56:8a:20:01",
                        "network": "VM Network",
                        "adapter": "vmxnet3",
                        "pci_slot": 192,
                    }
                ],
            },
            {
                **shared,
                "name": "live01",
                "firmware": "bios",
                "cpu": 1,
                "memory_mb": 1024,
                "power_state": "poweredOn",
                "tools": True,
                "disks": [{"path": str(data)}],
                "nics": [
                    {
                        "mac": "00:50:56:8a:21:01",
                        "network": "VM Network",
                        "adapter": "vmxnet3",
                        "addresses": ["192.0.2.21/24", "2001:db8::21/64", "fe80::21"],
                        "gateways": ["192.0.2.1", "2001:db8::1"],
                        "dns": ["192.0.2.53"],
                        "search": ["example.com"],
                    },
                    {
                        "mac": "00:50:56:8a:21:02",
                        "network": "VM Network",
                        "adapter": "e1000e",
                        "addresses": ["198.51.100.21/28"],
                        "dhcp": True,
                    },
                ],
            },
        ]
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Write small VMs' disks and their inventory.")
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    inventory = make(arguments.directory.absolute())
    (arguments.directory / INVENTORY).write_text(json.dumps(inventory, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
