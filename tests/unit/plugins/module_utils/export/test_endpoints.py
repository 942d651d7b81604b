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
