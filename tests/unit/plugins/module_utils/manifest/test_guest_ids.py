# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from pyVmomi import vim

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.guest_ids import (
    VSPHERE_KINDS,
    _stem,
    hint_of_cim,
    hint_of_words,
    os_hint,
)

IDENTIFIERS = [str(value) for value in vim.vm.GuestOsDescriptor.GuestOsIdentifier.values]


def test_every_identifier_of_vsphere_is_in_the_map():
    assert len(IDENTIFIERS) > 200
    # The map is that of the newest pyVmomi; Python 3.9 has to do with an older one.
    assert {_stem(identifier) for identifier in IDENTIFIERS} <= set(VSPHERE_KINDS)


@pytest.mark.parametrize("identifier", IDENTIFIERS)
def test_names_agree_with_the_map(identifier):
    hint = os_hint(identifier)
    assert hint in ("linux", "windows", "unknown")
    if "win" in identifier.lower() and "darwin" not in identifier:
        assert hint == "windows"
    if "linux" in identifier.lower():
        assert hint == "linux"
    if identifier.startswith(("freebsd", "solaris", "darwin", "vmkernel", "netware", "dos", "os2")):
        assert hint == "unknown"


@pytest.mark.parametrize(
    ("identifier", "hint"),
    [
        ("rhel12_64Guest", "linux"),  # of a vSphere to come: by its words
        ("windows2030srv_64Guest", "windows"),
        ("otherGuest64", "unknown"),
        ("beosGuest", "unknown"),
    ],
)
def test_others(identifier, hint):
    assert os_hint(identifier) == hint


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("Ubuntu_64", "linux"),
        ("Windows2019_64", "windows"),
        ("windows_2022", "windows"),
        ("rhel_9x64", "linux"),
        ("Oracle_64", "linux"),
        ("FreeBSD_64", "unknown"),
        ("MacOS_64", "unknown"),
        ("Oracle Solaris 11", "unknown"),
    ],
)
def test_words(words, hint):
    assert hint_of_words(words) == hint


def test_cim():
    assert [hint_of_cim(number) for number in (94, 77, 42, 0)] == [
        "linux",
        "windows",
        "unknown",
        "unknown",
    ]
