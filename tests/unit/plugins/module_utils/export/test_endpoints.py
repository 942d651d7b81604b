# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ssl

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.export.endpoints import endpoint_of
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.export.errors import ExportError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.tls import PinnedContext
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.connection import VCenter
from ansible_collections.hypersdk.hyper2kvm.tests.unit.plugins.module_utils.export.machines import (
    url,
)

VCENTER = VCenter("vcenter.example.com", "user", "secret")


def test_the_leases_thumbprint_is_pinned() -> None:
    endpoint = endpoint_of(url("k"), VCENTER, {})
    assert isinstance(endpoint.context, PinnedContext)
    assert endpoint.context.digest == bytes.fromhex("AB" * 20)


def test_without_a_thumbprint_a_ca_is_asked() -> None:
    context = endpoint_of(url("k", thumbprint=""), VCENTER, {}).context
    assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname


def test_nothing_is_checked_only_when_the_user_says_so() -> None:
    careless = VCenter("vcenter.example.com", "user", "secret", validate_certs=False)
    assert endpoint_of(url("k"), careless, {}).context.verify_mode == ssl.CERT_NONE


def test_a_star_is_the_host_that_we_connected_to() -> None:
    endpoint = endpoint_of(url("k", url="https://*/nfc/t/x.vmdk"), VCENTER, {})
    assert endpoint.host == "vcenter.example.com"


def test_a_name_that_does_not_resolve_is_mapped() -> None:
    endpoint = endpoint_of(url("k"), VCENTER, {"esxi01": "192.0.2.7"})
    assert endpoint.host == "192.0.2.7"


def test_an_endpoint_never_shows_its_ticket() -> None:
    assert "ticket" not in str(endpoint_of(url("k"), VCENTER, {}))


@pytest.mark.parametrize("text", ["http://esxi01/x", "file:///etc/passwd", "nonsense", ""])
def test_only_https_is_fetched(text: str) -> None:
    with pytest.raises(ExportError, match="not https"):
        endpoint_of(url("k", url=text), VCENTER, {})


@pytest.mark.parametrize("port", ["99999", "ab", "0"])
def test_a_port_that_is_none_is_refused_without_the_ticket(port: str) -> None:
    with pytest.raises(ExportError) as caught:
        endpoint_of(url("k", url=f"https://esxi01:{port}/nfc/ticket/x.vmdk"), VCENTER, {})
    assert "ticket" not in str(caught.value)


def test_what_no_request_holds_is_escaped_and_what_is_escaped_stays_so() -> None:
    odd = url(
        "k", url="https://esxi01/nfc/t/disk \N{LATIN SMALL LETTER U WITH DIAERESIS}%20-0.vmdk"
    )
    assert endpoint_of(odd, VCENTER, {}).url == "https://esxi01/nfc/t/disk%20%C3%BC%20-0.vmdk"


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    vcenter = VCenter("2001:db8::7", "user", "secret", port=8443)
    assert vcenter.url == "https://[2001:db8::7]:8443"
    assert endpoint_of(url("k", url="https://*/nfc/t/x.vmdk"), vcenter, {}).host == "2001:db8::7"
