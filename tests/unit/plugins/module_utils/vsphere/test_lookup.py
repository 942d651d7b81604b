# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vsphere.lookup import (
    Search,
    Selection,
)

UUID = "421e6a1c-9f0d-4b7e-9c4f-8f9e4cfb9f10"
WEB: dict[str, Any] = {"name": "web%2f01", "config.uuid": UUID}


@pytest.mark.parametrize(
    ("search", "fits"),
    [
        (Search(), True),
        (Search(moids=("vm-1",)), False),
        (Search(names=("web/01",)), True),
        (Search(names=("db", "web/01")), True),
        (Search(names=("web*",)), False),
        (Search(names=("web*",), patterns=True), True),
        (Search(names=("WEB*",), patterns=True), False),
        (Search(uuids=(UUID.upper().replace("-", ""),)), True),
        (Search(uuids=(UUID,), use_instance_uuid=True), False),
        (Search(names=("db",), uuids=(UUID,)), True),
    ],
)
def test_names_and_identifiers(search: Search, fits: bool) -> None:
    assert search.fits(WEB) is fits


def test_a_name_with_a_pattern_s_letters_is_itself() -> None:
    assert Search(names=("web[1]",), patterns=True).fits({"name": "web[1]"})


@pytest.mark.parametrize(
    ("search", "fits"),
    [
        (Search(folder="/a/b"), True),
        (Search(folder="a/b/"), True),
        (Search(folder="/a"), False),
        (Search(folder="/a", recurse=True), True),
        (Search(folder="/", recurse=True), True),
        (Search(folder="/"), False),
        (Search(folder="/a/b", recurse=True), True),
        (Search(folder="/a/", recurse=True, datacenter="DC1"), False),
        (Search(datacenter="DC0"), True),
    ],
)
def test_places(search: Search, fits: bool) -> None:
    assert search.fits_place("DC0", "/a/b") is fits


def test_a_folder_is_none_that_only_begins_like_it() -> None:
    assert not Search(folder="/prod", recurse=True).fits_place("DC0", "/production")


def test_a_selection_is_one_vm_by_its_exact_name() -> None:
    search = Selection(name="web*", folder="/a", datacenter="DC0").search()
    assert (search.names, search.patterns, search.recurse) == (("web*",), False, False)
    assert Selection(uuid=UUID, use_instance_uuid=True).search().uuid_path == "config.instanceUuid"
    assert Selection(moid="vm-1").search() == Search(moids=("vm-1",))
