# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The URLs of a lease, for a program that knows nothing of vSphere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.support.leases import (
    connected,
    find_vm,
    started,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim


@contextmanager
def leased_urls(vcenter: Vcsim, directory: Path) -> Iterator[list[str]]:
    """Yield curl's command for all disks of the VM, in parallel, while a lease is open."""
    with connected(vcenter) as service:
        lease = started(find_vm(service, "small01").ExportVm())
        command = ["curl", "--silent", "--show-error", "--fail", "--insecure", "--parallel"]
        for entry in lease.info.deviceUrl:
            target = directory / entry.targetId
            command += [entry.url.replace("*", vcenter.hostname), "--output", str(target)]
        try:
            yield command
        finally:
            lease.HttpNfcLeaseComplete()
