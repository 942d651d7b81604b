# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client of the test vCenter's leases that does nothing but what a test says.

It is what shows what the simulator does; the collection has its own, and better.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim

from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim
from ansible_collections.hypersdk.hyper2kvm.tests.support.waiting import wait_for


@contextmanager
def connected(vcenter: Vcsim, password: str | None = None) -> Iterator[Any]:
    """Log in with vCenter's certificate verified, and yield the ServiceInstance."""
    service = SmartConnect(
        host=vcenter.hostname,
        port=vcenter.port,
        user=vcenter.username,
        pwd=vcenter.password if password is None else password,
        sslContext=ssl.create_default_context(cafile=vcenter.ca_path),
    )
    try:
        yield service
    finally:
        try:
            Disconnect(service)
        except vim.fault.NotAuthenticated:
            pass  # the test has had the session ended


def find_vm(service: Any, name: str) -> Any:
    """Return the only VM of this name."""
    content = service.content
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
    (found,) = [vm for vm in view.view if vm.name == name]
    return found


def started(lease: Any) -> Any:
    """Return a lease that is no longer initializing."""
    wait_for(lambda: lease.state != "initializing")
    return lease


@dataclass(frozen=True)
class Download:
    """What came of one request."""

    status: int
    headers: dict[str, str]
    data: bytes
    error: str
    seconds: float
    thumbprint: str


def fetch(url: str, host: str = "127.0.0.1", timeout: float = 30.0) -> Download:
    """Read a device URL from this host as far as it goes, whatever its certificate."""
    parts = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)
    begun, data, error = time.monotonic(), bytearray(), ""
    try:
        connection.connect()
        certificate: Any = connection.sock.getpeercert(binary_form=True)
        connection.request("GET", parts.path)
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        with response:
            try:
                while piece := response.read1(65536):
                    data += piece
            except (OSError, http.client.HTTPException) as failure:
                error = type(failure).__name__
    finally:
        connection.close()
    digest = hashlib.sha1(certificate).hexdigest().upper()
    return Download(
        response.status,
        headers,
        bytes(data),
        error,
        time.monotonic() - begun,
        ":".join(digest[i : i + 2] for i in range(0, len(digest), 2)),
    )


def two_disk_inventory(directory: Path) -> dict[str, Any]:
    """Have qemu-img make two disks, and return an inventory of three VMs with them.

    web01 is off and has both, and an NVRAM; live01 and stuck01 are on, and only
    the first of these heeds a shutdown.
    """
    for number, size in enumerate((3, 1)):
        raw = directory / f"{number}.raw"
        # Random data does not compress: the VMDK is about as large.
        raw.write_bytes(os.urandom(size << 20))
        with raw.open("r+b") as image:
            image.truncate(16 << 20)
        argv = ["qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized"]
        subprocess.run([*argv, str(raw), str(raw.with_suffix(".vmdk"))], check=True)
    (directory / "web01.nvram").write_bytes(b"nvram" * 1000)
    disks = [{"path": str(directory / f"{number}.vmdk")} for number in range(2)]
    live = {"power_state": "poweredOn", "tools": True, "disks": disks[:1]}
    return {
        "vms": [
            {
                "name": "web01",
                "folder": "production/web",
                "guest_id": "debian12_64Guest",
                "guest_full_name": "Debian GNU/Linux 12 (64-bit)",
                "firmware": "efi",
                "secure_boot": True,
                "cpu": 2,
                "memory_mb": 2048,
                "disks": [disks[0], {**disks[1], "controller": "sata", "label": "Data"}],
                "nics": [
                    {"mac": "00:50:56:8a:00:01", "network": "VM Network", "pci_slot": 192},
                    {"network": "Backend", "adapter": "e1000e", "distributed": True},
                ],
                "nvram": str(directory / "web01.nvram"),
            },
            {
                **live,
                "name": "live01",
                "shutdown_delay": 0.2,
                "nics": [{"network": "VM Network", "addresses": ["192.0.2.10"]}],
            },
            {**live, "name": "stuck01", "datacenter": "Zurich", "shutdown_delay": -1},
        ]
    }


def last_lease(vcenter: Vcsim) -> dict[str, Any]:
    """Return the newest lease of the status page."""
    return dict(vcenter.status()["leases"][-1])
