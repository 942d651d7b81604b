# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One export lease: asked for, kept alive, and completed or aborted whatever happens.

vim.HttpNfcLease of the vSphere API: initializing → ready → done or error. While it is ready, its
URLs serve the VM's files; without progress reports it expires after leaseTimeout seconds.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from ..errors import Hyper2KvmError
from .errors import LeaseLost, VSphereError, sentence
from .inventory import read

try:
    from pyVmomi import vim, vmodl
except ImportError:
    pass  # connection.py tells

_READY_TIMEOUT = 300.0  # seconds that vCenter may take to get a lease ready
# Seconds until the second look whether it is, twice as long until each further one.
_READY_LOOK_AGAIN = 0.02
_READY_LOOK_MOST = 0.5
# A peer that reports every 15 s loses leases whose time-out is short; govc reports every 2 s.
_REPORT_EVERY = 3.0


@dataclass(frozen=True)
class DeviceUrl:
    """One file that the lease offers, as the server describes it; none of it is trusted."""

    key: str
    url: str
    thumbprint: str
    is_disk: bool
    target_id: str


class ExportLease:
    """An export lease, as a context manager: completed at the end, aborted on any error.

    Args:
        instance: The vim.ServiceInstance that the lease belongs to.
        lease: The vim.HttpNfcLease, as ExportVm returned it.
        vm_name: For messages.
        percent: Tells how much of the transfer is done, 0 to 100.
        on_lost: Told in another thread that the lease is gone; check() says why.
    """

    def __init__(
        self,
        instance: Any,
        lease: Any,
        vm_name: str,
        *,
        percent: Callable[[], int],
        on_lost: Callable[[], None],
    ) -> None:
        self._instance = instance
        self._lease = lease
        self._vm_name = vm_name
        self._percent = percent
        self._on_lost = on_lost
        self._stop = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._timeout = 300.0
        self.lost: str = ""
        self.completion_problem: str = ""
        self.urls: tuple[DeviceUrl, ...] = ()

    def __enter__(self) -> ExportLease:
        try:
            self._wait_until_ready()
            info = self._lease.info
            self._timeout = float(info.leaseTimeout or 300)
            self.urls = tuple(
                DeviceUrl(
                    key=str(entry.key or ""),
                    url=str(entry.url or ""),
                    thumbprint=str(entry.sslThumbprint or ""),
                    is_disk=bool(entry.disk),
                    target_id=str(entry.targetId or ""),
                )
                for entry in info.deviceUrl or ()
            )
        except BaseException:
            self._abort("the export could not begin")
            raise
        self._keeper.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._keeper.join(timeout=_REPORT_EVERY)
        if error is not None:
            self._abort(str(error) or type(error).__name__)
            return
        try:
            self._lease.HttpNfcLeaseProgress(100)
            self._lease.HttpNfcLeaseComplete()
        except (vmodl.MethodFault, OSError, http.client.HTTPException) as problem:
            # All has arrived and was checked: what is lost is only a clean end of vCenter's task.
            self.completion_problem = sentence(problem)

    def check(self) -> None:
        """Raise LeaseLost when the keeper has found that the lease is gone."""
        if self.lost:
            raise LeaseLost(f"The export lease of {self._vm_name} is gone: {self.lost}.")

    def checksums(self) -> dict[str, tuple[str, str]]:
        """Return what the host says it has sent so far: (algorithm, hex digest) by device key.

        Not every host can tell; then it is empty. Call it before the lease completes.
        """
        with suppress(vmodl.MethodFault, AttributeError):
            return {
                str(entry.key): (
                    str(entry.checksumType or "sha1"),
                    str(entry.checksum or entry.sha1 or "").lower(),
                )
                for entry in self._lease.HttpNfcLeaseGetManifest() or ()
            }
        return {}

    def ask_for_sha256(self) -> None:
        """Ask the host to compute SHA-256 of what it sends, where it can."""
        with suppress(vmodl.MethodFault, AttributeError):
            self._lease.HttpNfcLeaseSetManifestChecksumType(
                deviceUrlsToChecksumTypes=[
                    vim.KeyValue(key=entry.key, value="sha256") for entry in self.urls
                ]
            )

    def _wait_until_ready(self) -> None:
        deadline, pause = time.monotonic() + _READY_TIMEOUT, _READY_LOOK_AGAIN
        while True:
            properties = read(self._instance, self._lease, ["state", "error"])
            state = str(properties.get("state"))
            if state == "ready":
                return
            if state == "error":
                raise VSphereError(
                    f"vCenter refused to export {self._vm_name}: "
                    f"{sentence(properties.get('error'))}."
                )
            if state == "done":
                raise LeaseLost(f"The export lease of {self._vm_name} ended before it began.")
            if time.monotonic() >= deadline:
                raise VSphereError(
                    f"vCenter did not get the export of {self._vm_name} ready "
                    f"in {_READY_TIMEOUT:g} seconds."
                )
            time.sleep(pause)
            pause = min(2 * pause, _READY_LOOK_MOST)

    def _keep(self) -> None:
        interval = min(_REPORT_EVERY, self._timeout / 4)
        gone = (
            vim.fault.InvalidState,
            vim.fault.NotAuthenticated,
            vim.fault.Timedout,
            vmodl.fault.ManagedObjectNotFound,
        )
        taken = time.monotonic()
        while not self._stop.wait(interval):
            try:
                self._lease.HttpNfcLeaseProgress(max(0, min(99, self._percent())))
                taken = time.monotonic()
            except vmodl.MethodFault as fault:
                # Of another fault vCenter may think better before the lease expires.
                if isinstance(fault, gone) or time.monotonic() - taken >= self._timeout:
                    self._lose(sentence(fault))
                    return
            except (OSError, http.client.HTTPException):
                # vCenter may be back before the lease expires.
                continue

    def _lose(self, reason: str) -> None:
        if not self._stop.is_set():
            self.lost = reason
            self._on_lost()

    def _abort(self, reason: str) -> None:
        fault = vmodl.fault.RequestCanceled(msg=reason)
        # After expiry Abort raises too; it must not hide what went wrong first.
        with suppress(vmodl.MethodFault, OSError, http.client.HTTPException, Hyper2KvmError):
            self._lease.HttpNfcLeaseAbort(fault)
