# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The contract's fields against those that hyper2kvm's code asks for: nothing misspelt, nothing forgotten.

Read from the source of the installed hyper2kvm: which names it takes out of which dictionary.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.schema import SCHEMA
from ansible_collections.hypersdk.hyper2kvm.tests.support.hyper2kvm_loader import interpreter

# Prints, for each dictionary by its name in a module, the keys that the module takes out of it.
_PROGRAM = """
import ast, importlib.util, json, sys
from collections import defaultdict

def name(node):
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""

def keys(module):
    found = defaultdict(set)
    with open(importlib.util.find_spec(module).origin) as file:
        tree = ast.parse(file.read())
    for node in ast.walk(tree):
        holder = key = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            if node.func.attr == "get":
                holder, key = node.func.value, node.args[0]
        elif isinstance(node, ast.Subscript):
            holder, key = node.value, node.slice
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            holder, key = node.comparators[0], node.left
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            found[name(holder)].add(key.value)
    return {holder: sorted(values) for holder, values in found.items()}

print(json.dumps({module: keys(module) for module in sys.argv[1:]}))
"""
_LOADER = "hyper2kvm.manifest.loader"
_ORCHESTRATOR = "hyper2kvm.manifest.orchestrator"
_HOOKS = "hyper2kvm.hooks.hook_types"
_RUNNER = "hyper2kvm.hooks.hook_runner"
_FIXERS = "hyper2kvm.fixers"


@pytest.fixture(scope="module")
def read() -> dict[str, dict[str, list[str]]]:
    names = ("user", "service", "hostname", "network")
    injectors = [f"{_FIXERS}.{name}_config_injector" for name in names]
    modules = [_LOADER, _ORCHESTRATOR, _HOOKS, _RUNNER, *injectors]
    done = subprocess.run(
        [interpreter(), "-c", _PROGRAM, *modules], capture_output=True, text=True, check=True
    )
    found: dict[str, dict[str, list[str]]] = json.loads(done.stdout)
    return found


def fields(*path: str) -> set[str]:
    schema: dict[str, Any] = SCHEMA
    for name in path:
        schema = schema["properties"][name]
        schema = schema.get("items", schema)
    return set(schema["properties"])


def taken(read: dict[str, dict[str, list[str]]], module: str, *holders: str) -> set[str]:
    return {key for holder in holders for key in read[module].get(holder, ())}


@pytest.mark.parametrize("stage", ["inspect", "fix", "convert", "validate"])
def test_stages(read: Any, stage: str) -> None:
    switches = taken(read, _ORCHESTRATOR, f"{stage}_config")
    assert switches and fields("pipeline", stage) == switches | {"enabled"}
    assert "enabled" in taken(read, _LOADER, "stage_config")


def test_libvirt_integration(read: Any) -> None:
    keys = taken(read, _ORCHESTRATOR, "libvirt_config") | taken(read, _LOADER, "libvirt_config")
    assert fields("libvirt_integration") == keys


def test_report(read: Any) -> None:
    assert fields("options", "report") == taken(read, _ORCHESTRATOR, "report_config")


def test_hooks(read: Any) -> None:
    keys = taken(read, _HOOKS, "config", "hook_config") | taken(read, _RUNNER, "hook_config")
    # The runner takes it out of an expression that has no name.
    assert fields("hooks", "pre_fix") == keys | {"retry"}
    assert "retry" in taken(read, _RUNNER, "")
    assert fields("hooks", "pre_fix", "retry") == taken(read, _RUNNER, "retry_config")


def test_the_whole_document(read: Any) -> None:
    keys = taken(read, _LOADER, "manifest")
    # Kept for people, and for who converts with the manifest.
    assert fields() - keys == {"hooks"}
    assert "hooks" in taken(read, _RUNNER, "manifest")
    assert keys <= fields()
    assert taken(read, _LOADER, "disk_data", "data") <= fields("disks")
    assert taken(read, _LOADER, "vm") <= fields("vm")


def test_configuration(read: Any) -> None:
    for injector, section in (
        ("user", "users"),
        ("service", "services"),
        ("hostname", "hostname"),
        ("network", "network"),
    ):
        keys = taken(read, f"{_FIXERS}.{injector}_config_injector", "config")
        assert fields("configuration", section) == keys, section
    # A password in clear has no place in a file.
    user = taken(read, f"{_FIXERS}.user_config_injector", "user_config")
    assert fields("configuration", "users", "users") == user - {"password"}
    network = f"{_FIXERS}.network_config_injector"
    assert fields("configuration", "network", "network_files") == taken(
        read, network, "file_config"
    )
    assert fields("configuration", "network", "nm_connections") == taken(
        read, network, "conn_config"
    )
