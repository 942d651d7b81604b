# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.arguments import (
    contract_documentation,
    contract_options,
    settings_of,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.schema import SCHEMA


def test_every_field_of_the_contract_is_an_option():
    assert set(contract_options()) == set(SCHEMA["properties"]) - {"manifest_version", "disks"}


def test_options_and_documentation_agree():
    def same(options, documents):
        assert set(options) == set(documents)
        for name, option in options.items():
            document = documents[name]
            for key in ("type", "elements", "choices", "required"):
                assert option.get(key) == document.get(key), (name, key)
            assert ("options" in option) == ("suboptions" in document), name
            same(option.get("options", {}), document.get("suboptions", {}))

    same(contract_options(), contract_documentation())


def test_types():
    options = contract_options()
    user = options["configuration"]["options"]["users"]["options"]["users"]
    assert (user["type"], user["elements"]) == ("list", "dict")
    assert user["options"]["name"] == {"type": "str", "required": True}
    assert user["options"]["password_hash"] == {"type": "str", "no_log": True}
    assert user["options"]["ssh_keys"] == {"type": "list", "elements": "str", "no_log": False}
    assert options["output"]["options"]["directory"] == {"type": "path"}
    assert options["pipeline"]["options"]["fix"]["options"]["fstab_mode"]["choices"] == [
        "stabilize-all",
        "bypath-only",
        "noop",
    ]
    hook = options["hooks"]["options"]["pre_fix"]["options"]
    assert hook["args"] == {"type": "raw"} and hook["type"]["required"] is True
    assert options["metadata"]["options"]["aws"] == {"type": "dict"}
    assert options["warnings"] == {"type": "list", "elements": "dict"}


def test_settings_are_what_is_set():
    assert settings_of({"vm": {"cpu": 2, "mem_gb": None}, "output": None, "path": "/a"}) == {
        "vm": {"cpu": 2}
    }
    tags = {"metadata": {"tags": {"cost": 7, "gone": None}, "job_id": None}}
    assert settings_of(tags) == {"metadata": {"tags": {"cost": "7"}}}
    assert settings_of({"nics": [{"mac": None, "id": "a"}], "notes": []}) == {
        "nics": [{"id": "a"}],
        "notes": [],
    }
