# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The published schema and its page are what the schema in Python makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.building import (
    WRITER_VERSION,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.profiles import SETTINGS
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.schema import SCHEMA
from ansible_collections.hypersdk.hyper2kvm.tests.support import manifest_reference

ROOT = Path(manifest_reference.__file__).parents[2]


def test_published_schema():
    published = (ROOT / "docs" / manifest_reference.PUBLISHED).read_text(encoding="utf-8")
    assert published == manifest_reference.schema_text()
    assert json.loads(published) == SCHEMA


def test_page():
    page = (ROOT / "docs" / manifest_reference.PAGE).read_text(encoding="utf-8")
    assert page == manifest_reference.page()


def test_every_option_of_a_profile_counts_in_the_role():
    options = {option for _kind, option in SETTINGS.values()}
    assert set(manifest_reference.role_variables()) == options


def fields(schema):
    for name, member in schema.get("properties", {}).items():
        yield name, member
        yield from fields(member.get("items", member))


@pytest.mark.parametrize(
    ("name", "schema"), list(fields(SCHEMA)), ids=lambda value: str(value)[:20]
)
def test_every_field_is_described(name, schema):
    assert schema.get("description", "").endswith("."), name


def test_the_writers_version_is_the_collections():
    galaxy, installed = ROOT / "galaxy.yml", ROOT / "MANIFEST.json"
    if installed.exists():
        version = json.loads(installed.read_text())["collection_info"]["version"]
    else:
        lines = galaxy.read_text().splitlines()
        version = next(line.split(": ")[1] for line in lines if line.startswith("version: "))
    assert version == WRITER_VERSION
