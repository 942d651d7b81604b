# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.digests import (
    Digest,
    parse_mf,
)

ONE, TWO = "a" * 64, "b" * 64


def test_forms_of_products():
    text = f"SHA256(web01.ovf)= {ONE}\r\nSHA1(a (1).vmdk)= {'C' * 40}\n\nSHA256 (b.vmdk) = {TWO}\n"
    digests, odd = parse_mf(text)
    assert digests == {
        "web01.ovf": Digest("sha256", ONE),
        "a (1).vmdk": Digest("sha1", "c" * 40),
        "b.vmdk": Digest("sha256", TWO),
    }
    assert odd == []


def test_lines_that_are_none():
    lines = ["nonsense", f"SHA256(a)= {ONE[:-1]}", f"MD5(a)= {'a' * 32}", f"SHA256(b)= {TWO}"]
    digests, odd = parse_mf(f"SHA256(b)= {ONE}\nSHA256(b)= {ONE}\n" + "\n".join(lines))
    # Written twice and equal is no contradiction; written twice and different is.
    assert digests == {"b": Digest("sha256", ONE)}
    assert odd == lines
