# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""netplan's files, and the network configuration of cloud-init that has their form.

Rules: netplan's YAML reference. Files of the same name in /etc win over those below /usr, and
what a later file says of a definition is added to what an earlier one said.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from typing import Any

from ..files import GuestFiles, read_text
from .interface import (
    BOND,
    BRIDGE,
    ETHERNET,
    VLAN,
    Interface,
    NetworkFileError,
    addresses,
    host,
    mac_address,
    number,
)

YAML_ERROR: str | None = None
try:
    import yaml
except ImportError:
    YAML_ERROR = traceback.format_exc()

MANAGER = "netplan"
_DIRECTORIES = ("/usr/lib/netplan", "/lib/netplan", "/etc/netplan")
_KINDS = {"ethernets": ETHERNET, "bonds": BOND, "bridges": BRIDGE, "vlans": VLAN}
_TRUE = frozenset({"true", "yes", "on", "y"})
_DEFAULT_ROUTES = frozenset({"default", "0.0.0.0/0", "::/0", "0/0"})


def load(text: str, path: str) -> Any:
    """Return a YAML document whose scalars are all text: 00:11:22:33:44:55 is no number.

    Raises NetworkFileError when it is none, or when PyYAML is not installed.
    """
    if YAML_ERROR is not None:
        raise NetworkFileError(
            f"The guest's {path} can't be read without PyYAML.",
            action="Install PyYAML for hyper2kvm's Python on the conversion host.",
        )
    try:
        return yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - it makes text only
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NetworkFileError(f"The guest's {path} is no YAML: {reason}.") from error


def read(files: GuestFiles) -> tuple[list[Interface], list[tuple[str, NetworkFileError]]]:
    """Return the interfaces of a guest's files, and what can't be read."""
    paths: dict[str, str] = {}
    for directory in _DIRECTORIES:
        for name in files.list(directory):
            if name.endswith(".yaml"):
                paths[name] = f"{directory}/{name}"
    documents: list[tuple[str, Any]] = []
    unreadable: list[tuple[str, NetworkFileError]] = []
    for name in sorted(paths):
        try:
            documents.append((paths[name], load(read_text(files, paths[name]), paths[name])))
        except NetworkFileError as error:
            unreadable.append((paths[name], error))
    return interfaces(documents), unreadable


def interfaces(documents: Iterable[tuple[str, Any]], manager: str = MANAGER) -> list[Interface]:
    """Return the interfaces of several documents, each with its path."""
    definitions: dict[tuple[str, str], dict[str, Any]] = {}
    paths: dict[tuple[str, str], str] = {}
    for path, document in documents:
        network = _mapping(_mapping(document).get("network"))
        for section, kind in _KINDS.items():
            for name, entry in _mapping(network.get(section)).items():
                if isinstance(name, str):
                    _merge(definitions.setdefault((kind, name), {}), _mapping(entry))
                    paths[kind, name] = path
    return [
        _interface(manager, paths[key], *key, definition) for key, definition in definitions.items()
    ]


def _interface(
    manager: str, path: str, kind: str, name: str, definition: Mapping[str, Any]
) -> Interface:
    match = _mapping(definition.get("match"))
    mac = mac_address(_text(match.get("macaddress")))
    renamed = _text(definition.get("set-name"))
    matched = _text(match.get("name"))
    driver = " ".join(_texts(match.get("driver")))
    if not match:
        kernel_name = name
    elif mac:
        kernel_name = renamed
    else:
        kernel_name = matched or renamed
    lower = _texts(definition.get("interfaces")) if kind in (BOND, BRIDGE) else []
    if kind == VLAN:
        lower = _texts(definition.get("link"))
    tag = _text(definition.get("id"))
    return Interface(
        manager=manager,
        path=path,
        id=name,
        name=kernel_name,
        mac=mac if kind == ETHERNET else "",
        names_itself=bool(mac and renamed),
        found_by=f"driver {driver}" if driver else "",
        kind=kind,
        lower=tuple(lower),
        tag=number(tag),
        dhcp=any(_text(definition.get(key)).lower() in _TRUE for key in ("dhcp4", "dhcp6")),
        addresses=addresses(_texts(definition.get("addresses"))),
        gateway=_gateway(definition),
        automatic=_text(definition.get("activation-mode")) not in ("manual", "off"),
    )


def _gateway(definition: Mapping[str, Any]) -> str:
    found = host(_text(definition.get("gateway4"))) or host(_text(definition.get("gateway6")))
    routes = definition.get("routes")
    for route in routes if isinstance(routes, list) else []:
        if not found and _text(_mapping(route).get("to")) in _DEFAULT_ROUTES:
            found = host(_text(_mapping(route).get("via")))
    return found


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        elif isinstance(value, list) and isinstance(into.get(key), list):
            into[key] = [*into[key], *value]
        else:
            into[key] = dict(value) if isinstance(value, dict) else value


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    """Return the texts of a list; an address with options is a mapping with one key."""
    if isinstance(value, str):
        return [value.strip()] if value.strip() else []
    found: list[str] = []
    for each in value if isinstance(value, list) else []:
        if isinstance(each, str):
            found.append(each.strip())
        elif isinstance(each, dict):
            found += [key for key in each if isinstance(key, str)]
    return found
