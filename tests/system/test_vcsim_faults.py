# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each fault that the test vCenter can be told to have really happens, and ends."""

from __future__ import annotations

import hashlib
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from pyVmomi import vim, vmodl

from ansible_collections.hypersdk.hyper2kvm.tests.support.leases import (
    Download,
    connected,
    fetch,
    find_vm,
    last_lease,
    started,
    two_disk_inventory,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim
from ansible_collections.hypersdk.hyper2kvm.tests.support.waiting import wait_for

Fault = dict[str, Any]


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return two_disk_inventory(tmp_path_factory.mktemp("disks"))


@pytest.fixture(scope="module")
def served(inventory: dict[str, Any]) -> Iterator[Vcsim]:
    with Vcsim(inventory) as vcenter:
        yield vcenter


@pytest.fixture
def vcenter(served: Vcsim) -> Iterator[Vcsim]:
    yield served
    served.set_faults([])


@pytest.fixture
def service(vcenter: Vcsim) -> Iterator[Any]:
    with connected(vcenter) as service:
        yield service


@pytest.fixture(scope="module")
def source(inventory: dict[str, Any]) -> bytes:
    return Path(inventory["vms"][0]["disks"][0]["path"]).read_bytes()


def export(service: Any) -> Any:
    return started(find_vm(service, "web01").ExportVm())


def half(download: Download, source: bytes) -> bool:
    return download.data == source[: len(source) // 2]


def whole(download: Download, source: bytes) -> bool:
    return download.data == source and not download.error


def flipped(at: int) -> Callable[[Download, bytes], bool]:
    def check(download: Download, source: bytes) -> bool:
        changed = bytearray(source)
        changed[at] ^= 0xFF
        return download.data == changed and not download.error

    return check


# Fault, what a client sees of it, and what the status page calls it.
BODIES: list[tuple[Fault, Callable[[Download, bytes], bool], str]] = [
    (
        {"kind": "drop", "after_percent": 50},
        lambda d, s: half(d, s) and d.error == "ConnectionResetError",
        "dropped",
    ),
    (
        {"kind": "drop", "after_percent": 50, "how": "close"},
        lambda d, s: half(d, s) and d.error == "IncompleteRead",
        "dropped",
    ),
    (
        {"kind": "drop", "after_bytes": 1000},
        lambda d, s: d.data == s[:1000] and d.error != "",
        "dropped",
    ),
    (
        {"kind": "drop", "after_percent": 100},
        lambda d, s: d.data == s and d.error != "",
        "dropped",
    ),
    (
        {"kind": "truncate", "after_percent": 50},
        lambda d, s: half(d, s) and d.error == "",
        "ended early",
    ),
    ({"kind": "flip", "offset": 100_000}, flipped(100_000), "complete"),
    ({"kind": "flip", "offset": -1}, flipped(-1), "complete"),
    (
        {"kind": "stall", "after_percent": 50, "seconds": 0.7},
        lambda d, s: whole(d, s) and d.seconds >= 0.7,
        "complete",
    ),
    (
        {"kind": "throttle", "bytes_per_second": 4_000_000},
        lambda d, s: whole(d, s) and d.seconds >= len(s) / 4_000_000 * 0.9,
        "complete",
    ),
    (
        {"kind": "status", "code": 503},
        lambda d, s: d.status == 503 and "retry-after" not in d.headers,
        "refused: Service Unavailable",
    ),
    (
        {"kind": "status", "code": 503, "retry_after": 1},
        lambda d, s: d.status == 503 and d.headers["retry-after"] == "1",
        "refused: Service Unavailable",
    ),
    (
        {"kind": "content_length"},
        lambda d, s: whole(d, s) and d.headers["content-length"] == str(len(s)),
        "complete",
    ),
    (
        {"kind": "lease_expire", "after_percent": 50},
        lambda d, s: len(d.data) < len(s) and d.error != "",
        "cut off: the lease has ended",
    ),
    (
        {"kind": "session_lost", "after_percent": 50},
        whole,
        "complete",
    ),
]


@pytest.mark.parametrize(
    ("fault", "happens", "outcome"),
    BODIES,
    ids=["-".join(str(value) for value in fault.values()) for fault, *_rest in BODIES],
)
def test_fault_of_one_body_happens_once(
    vcenter: Vcsim,
    service: Any,
    source: bytes,
    fault: Fault,
    happens: Callable[[Download, bytes], bool],
    outcome: str,
) -> None:
    vcenter.set_faults([{**fault, "file": 0, "count": 1}])
    lease = export(service)
    other, first = lease.info.deviceUrl[1].url, lease.info.deviceUrl[0].url
    assert fetch(other).error == "", "the other file is spared"
    assert vcenter.status()["faults"][0]["applied"] == 0
    download = fetch(first)
    assert happens(download, source), (download.status, len(download.data), download.error)
    assert vcenter.status()["faults"][0]["applied"] == 1
    request = last_lease(vcenter)["files"][0]["requests"][0]
    assert (request["outcome"], request["status"]) == (outcome, download.status)
    again = fetch(first)
    if fault["kind"] == "lease_expire":
        assert again.status == 404
        assert isinstance(lease.error, vim.fault.Timedout)
    else:
        assert whole(again, source), "the second time is fine"
    if fault["kind"] == "session_lost":
        with pytest.raises(vim.fault.NotAuthenticated):
            lease.HttpNfcLeaseProgress(50)


def test_content_length_that_is_too_long(vcenter: Vcsim, service: Any, source: bytes) -> None:
    vcenter.set_faults(
        [{"kind": "content_length"}, {"kind": "truncate", "after_percent": 50, "file": 0}]
    )
    download = fetch(export(service).info.deviceUrl[0].url)
    assert download.headers["content-length"] == str(len(source))
    assert half(download, source)


@pytest.mark.parametrize("truth", ["original", "sent"])
@pytest.mark.parametrize(
    "fault", [{"kind": "flip", "offset": 5}, {"kind": "truncate", "after_bytes": 4096}]
)
def test_manifest_of_damaged_data(
    vcenter: Vcsim, service: Any, source: bytes, fault: Fault, truth: str
) -> None:
    vcenter.set_faults([{**fault, "manifest": truth}])
    lease = export(service)
    data = fetch(lease.info.deviceUrl[0].url).data
    (entry,) = lease.HttpNfcLeaseGetManifest()
    told = source if truth == "original" else data
    assert data != source
    assert (entry.sha1, entry.size) == (hashlib.sha1(told).hexdigest(), len(told))


URLS: list[tuple[Fault, Callable[[Any], bool]]] = [
    ({"kind": "star_host"}, lambda url: urlsplit(url.url).hostname == "*"),
    (
        {"kind": "host_name", "value": "esxi-01.example.invalid"},
        lambda url: urlsplit(url.url).hostname == "esxi-01.example.invalid",
    ),
    (
        {"kind": "target_id", "value": "../../etc/passwd"},
        lambda url: url.targetId == "../../etc/passwd",
    ),
    ({"kind": "target_id", "value": "/etc/passwd"}, lambda url: url.targetId == "/etc/passwd"),
    ({"kind": "target_id", "value": "a\tb\nc"}, lambda url: url.targetId == "a\tb\nc"),
    (
        {"kind": "url_name", "value": "../../etc/passwd"},
        lambda url: unquote(url.url).endswith("/../../etc/passwd"),
    ),
    (
        {"kind": "url_name", "value": "a\0b\x1b[0m"},
        lambda url: url.url.endswith("/a%00b%1B%5B0m"),
    ),
    ({"kind": "target_id", "value": "disk-1.vmdk"}, lambda url: url.targetId == "disk-1.vmdk"),
    ({"kind": "wrong_certificate"}, lambda url: fetch(url.url).thumbprint != url.sslThumbprint),
]


@pytest.mark.parametrize(("fault", "happens"), URLS)
def test_fault_of_one_url(
    vcenter: Vcsim, service: Any, source: bytes, fault: Fault, happens: Callable[[Any], bool]
) -> None:
    vcenter.set_faults([{**fault, "file": "disk-0.vmdk"}])
    first, second, _nvram = export(service).info.deviceUrl
    assert happens(first)
    assert second.targetId == "disk-1.vmdk"
    assert urlsplit(second.url).hostname == "127.0.0.1"
    assert fetch(second.url).thumbprint == second.sslThumbprint
    # Whatever it is called, it can be had from the right host and port.
    assert whole(fetch(first.url), source)


def test_lease_that_never_gets_ready(vcenter: Vcsim, service: Any) -> None:
    vcenter.set_faults([{"kind": "lease_error", "message": "no memory for NFC", "count": 1}])
    lease = export(service)
    assert (lease.state, lease.info) == ("error", None)
    assert lease.error.msg == "no memory for NFC"
    assert export(service).state == "ready"


def test_lease_that_expires_whatever_is_reported(vcenter: Vcsim, service: Any) -> None:
    vcenter.set_faults([{"kind": "lease_expire", "after_seconds": 0.5}])
    lease = export(service)
    lease.HttpNfcLeaseProgress(1)
    wait_for(lambda: lease.state == "error", 2)
    with pytest.raises(vim.fault.Timedout):
        lease.HttpNfcLeaseProgress(2)


@pytest.mark.parametrize(
    ("fault", "call"),
    [
        ({"kind": "manifest_unsupported"}, lambda lease: lease.HttpNfcLeaseGetManifest()),
        (
            {"kind": "checksum_type_unsupported"},
            lambda lease: lease.HttpNfcLeaseSetManifestChecksumType([]),
        ),
    ],
)
def test_hosts_that_know_less(
    vcenter: Vcsim, service: Any, fault: Fault, call: Callable[[Any], Any]
) -> None:
    vcenter.set_faults([{**fault, "count": 1}])
    lease = export(service)
    with pytest.raises(vmodl.fault.NotSupported):
        call(lease)
    call(lease)


def test_descriptor_that_fails(vcenter: Vcsim, service: Any) -> None:
    vm = find_vm(service, "web01")
    fault = {"kind": "create_descriptor", "message": "no descriptor today", "count": 1}
    vcenter.set_faults([fault, {**fault, "how": "errors"}])

    def create() -> Any:
        params = vim.OvfManager.CreateDescriptorParams()
        return service.content.ovfManager.CreateDescriptor(vm, params)

    with pytest.raises(vim.fault.OvfExport) as caught:
        create()
    assert caught.value.msg == "no descriptor today"
    result = create()
    assert (result.ovfDescriptor, result.error[0].msg) == ("", "no descriptor today")
    assert create().ovfDescriptor.startswith("<?xml")


@pytest.mark.parametrize("leases", ["keep", "lost"])
def test_session_lost_in_the_middle(vcenter: Vcsim, leases: str) -> None:
    with connected(vcenter) as service:
        lease = export(service)
        vcenter.set_faults(
            [
                {
                    "kind": "session_lost",
                    "method": "HttpNfcLeaseProgress",
                    "count": 1,
                    "leases": leases,
                }
            ]
        )
        assert lease.state == "ready"
        for _time in range(2):
            with pytest.raises(vim.fault.NotAuthenticated):
                lease.HttpNfcLeaseProgress(1)
        service.content.sessionManager.Login(vcenter.username, vcenter.password)
        if leases == "keep":
            lease.HttpNfcLeaseProgress(1)
            lease.HttpNfcLeaseComplete()
        else:
            with pytest.raises(vmodl.fault.ManagedObjectNotFound):
                lease.HttpNfcLeaseProgress(1)


def test_calls_that_fail_or_take_long(vcenter: Vcsim, service: Any) -> None:
    vm = find_vm(service, "live01")
    vcenter.set_faults(
        [
            {
                "kind": "call_fails",
                "method": "CreateSnapshot_Task",
                "fault": "TaskInProgress",
                "vm": "live01",
                "skip": 1,
            },
            {"kind": "call_slow", "method": "CurrentTime", "seconds": 0.5},
        ]
    )
    task = vm.CreateSnapshot("one", "", False, False)
    wait_for(lambda: task.info.state == "success")
    with pytest.raises(vim.fault.TaskInProgress):
        vm.CreateSnapshot("two", "", False, False)
    begun = time.monotonic()
    service.CurrentTime()
    assert time.monotonic() - begun >= 0.5
    vm.RemoveAllSnapshots()


def test_vcenter_refuses(vcenter: Vcsim) -> None:
    vcenter.set_faults([{"kind": "vcenter_status", "code": 503, "count": 1, "retry_after": 2}])
    url = f"https://{vcenter.hostname}:{vcenter.port}/sdk/vimServiceVersions.xml"
    context = ssl.create_default_context(cafile=vcenter.ca_path)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url, context=context)
    assert (refused.value.code, refused.value.headers["Retry-After"]) == (503, "2")
    with urllib.request.urlopen(url, context=context) as response:
        assert b"8.0.3.0" in response.read()


def test_other_vms_are_spared(vcenter: Vcsim, service: Any, source: bytes) -> None:
    vcenter.set_faults([{"kind": "drop", "after_bytes": 0, "vm": "live01"}])
    assert whole(fetch(export(service).info.deviceUrl[0].url), source)


def test_credentials_that_went_to_the_host_are_seen(vcenter: Vcsim, service: Any) -> None:
    url = export(service).info.deviceUrl[2].url
    context = ssl._create_unverified_context()
    for headers in ({}, {"Cookie": service._stub.cookie}):
        urllib.request.urlopen(urllib.request.Request(url, headers=headers), context=context)
    requests = last_lease(vcenter)["files"][2]["requests"]
    assert [request["credentials"] for request in requests] == [False, True]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"kind": "fire"}, 'faults[0]: kind "fire" is unknown'),
        ({"kind": "drop"}, "drop needs after_bytes or after_percent"),
        ({"kind": "drop", "after_bytes": 1, "after_percent": 1}, "only one after_"),
        ({"kind": "drop", "after_bytes": 1, "how": "softly"}, 'how is "softly", must be one of'),
        ({"kind": "star_host", "value": "x"}, "star_host takes no value"),
        ({"kind": "flip"}, "flip needs offset"),
        ({"kind": "flip", "offset": 1, "file": []}, "must be an index or a name"),
        ({"kind": "call_fails", "method": "X", "fault": "Oops"}, 'fault "Oops" is no fault'),
        ({"kind": "drop", "after_byte": 1}, 'unknown field "after_byte"'),
    ],
)
def test_fault_with_a_mistake_is_refused(vcenter: Vcsim, fault: Fault, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        vcenter.set_faults([fault])
