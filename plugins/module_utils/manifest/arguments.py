# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The contract's fields as options of a module, made from the schema so that they can't drift from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .patterns import ABSOLUTE_PATH
from .schema import PROVIDER_FACTS, SCHEMA, SOURCE_FORMATS

#: Fields that the module makes itself, from its source of disks.
_NOT_SETTABLE = ("manifest_version", "disks")

_TYPES = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "object": "dict",
    "array": "list",
}

#: A hash may be cracked, so it is kept out of logs; a public key is made to be shown.
_NO_LOG = {"password_hash": True, "ssh_keys": False}

#: Objects whose members are the user's own, and are all strings.
_STRING_VALUES = ("tags", "hosts", "env", "headers")

#: ansible-core keeps an option's name "message" for itself, so these are checked by the schema alone.
_WHOLE = ("warnings",)

DISK_OPTIONS: dict[str, dict[str, Any]] = {
    "path": {"type": "path", "required": True, "aliases": ["local_path"]},
    "id": {"type": "str"},
    "source_format": {"type": "str", "choices": list(SOURCE_FORMATS), "aliases": ["format"]},
    "checksum": {"type": "str"},
    "boot_order_hint": {"type": "int"},
    "label": {"type": "str"},
    "controller": {"type": "str"},
    "unit_number": {"type": "int"},
}


def contract_options() -> dict[str, dict[str, Any]]:
    """Return the argument spec of the contract's own fields."""
    return {
        name: option(name, schema)
        for name, schema in SCHEMA["properties"].items()
        if name not in _NOT_SETTABLE
    }


def contract_documentation() -> dict[str, dict[str, Any]]:
    """Return the documentation of the contract's own fields, as a module's DOCUMENTATION has it."""
    return {
        name: documented(name, schema)
        for name, schema in SCHEMA["properties"].items()
        if name not in _NOT_SETTABLE
    }


def option(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the argument spec of one field."""
    spec = _shape(name, schema)
    members = _members(name, schema)
    if members is not None:
        spec["options"] = {key: option(key, each) for key, each in members.items()}
    for key in _required(schema["items"] if schema.get("type") == "array" else schema):
        if members and key in members:
            spec["options"][key]["required"] = True
    if name in _NO_LOG:
        spec["no_log"] = _NO_LOG[name]
    return spec


def documented(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the documentation of one field."""
    words = [schema["description"]] if "description" in schema else []
    if name in PROVIDER_FACTS and "properties" in schema:
        words.append(
            "Keys of its own are " + ", ".join(f"C({key})" for key in PROVIDER_FACTS[name]) + "."
        )
    if name in _WHOLE:
        keys = schema["items"]["properties"]
        words.append("Keys of each are " + ", ".join(f"C({key})" for key in keys) + ".")
    document: dict[str, Any] = {"description": words or ["One of them."], **_shape(name, schema)}
    members = _members(name, schema)
    if members is not None:
        document["suboptions"] = {key: documented(key, each) for key, each in members.items()}
        for key in _required(schema["items"] if schema.get("type") == "array" else schema):
            if key in members:
                document["suboptions"][key]["required"] = True
    return document


def settings_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the contract's fields that a module's parameters set, without those that they leave alone."""
    settings = {
        name: _given(name, params.get(name))
        for name in SCHEMA["properties"]
        if name not in _NOT_SETTABLE
    }
    return {name: value for name, value in settings.items() if value is not None}


def _shape(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    kind = schema.get("type")
    if not isinstance(kind, str):
        return {"type": "raw"}
    spec: dict[str, Any] = {"type": _TYPES[kind]}
    if schema.get("pattern") == ABSOLUTE_PATH:
        spec["type"] = "path"
    if "enum" in schema:
        spec["choices"] = list(schema["enum"])
    if kind == "array":
        spec["elements"] = _TYPES[schema["items"]["type"]]
    return spec


def _members(name: str, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the fields of an object, or of a list's objects, that is not the user's own to fill."""
    holder = schema.get("items", {}) if schema.get("type") == "array" else schema
    if name in (*PROVIDER_FACTS, *_WHOLE) or "properties" not in holder:
        return None
    members: Mapping[str, Any] = holder["properties"]
    return members


def _required(schema: Mapping[str, Any]) -> list[str]:
    required: list[str] = list(schema.get("required", ()))
    return required


def _given(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        if name in _STRING_VALUES:
            return {str(key): str(member) for key, member in value.items() if member is not None}
        members = {key: _given(key, member) for key, member in value.items()}
        return {key: member for key, member in members.items() if member is not None}
    if isinstance(value, list):
        return [_given(name, member) for member in value]
    return value
