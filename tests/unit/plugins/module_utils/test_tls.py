# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.tls import (
    CertificateError,
    parse_thumbprint,
    pinned_context,
    verified_context,
)


@pytest.mark.parametrize("size", [20, 32])
def test_thumbprints_with_colons_and_without(size: int) -> None:
    digest = bytes(range(size))
    assert parse_thumbprint(digest.hex()) == digest
    assert parse_thumbprint(digest.hex(":").upper()) == digest
    assert pinned_context(digest.hex()).digest == digest


@pytest.mark.parametrize("text", ["", "AB", "zz" * 20, "AB" * 21, "AB" * 64])
def test_what_is_no_thumbprint_is_refused(text: str) -> None:
    with pytest.raises(CertificateError, match="no certificate thumbprint"):
        parse_thumbprint(text)


def test_a_ca_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"missing\.pem"):
        verified_context(str(tmp_path / "missing.pem"))
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    with pytest.raises(CertificateError, match=r"empty\.pem"):
        verified_context(str(empty))
