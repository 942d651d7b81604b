# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""NetworkManager's keyfiles.

Rules: nm-settings-keyfile(5).
"""

from __future__ import annotations

import re
from dataclasses import replace

from ..files import GuestFiles, read_text
from .interface import (
    BOND,
    BRIDGE,
    ETHERNET,
    OTHER,
    VLAN,
    Address,
    Interface,
    addresses,
    host,
    mac_address,
    number,
    vlan_of,
)
from .sections import Section, parse_sections, together

MANAGER = "NetworkManager"
_DIRECTORIES = (
    "/usr/lib/NetworkManager/system-connections",
    "/etc/NetworkManager/system-connections",
)
_KINDS = {
    "ethernet": ETHERNET,
    "802-3-ethernet": ETHERNET,
    "bond": BOND,
    "team": BOND,
    "bridge": BRIDGE,
    "vlan": VLAN,
}
_SCRAPS = re.compile(r"^\.|(~|\.(bak|orig|rpmsave|rpmnew|rpmorig|swp|tmp|dpkg-\w+))$|^ifcfg-")
_NO = frozenset({"false", "no", "0"})


def read(files: GuestFiles) -> list[Interface]:
    """Return the interfaces of a guest's files."""
    paths = {
        name: f"{directory}/{name}"
        for directory in _DIRECTORIES
        for name in files.list(directory)
        if not _SCRAPS.search(name) and files.is_file(f"{directory}/{name}")
    }
    found = [parse(read_text(files, paths[name]), paths[name]) for name in sorted(paths)]
    return linked([each for each in found if each is not None])


def parse(text: str, path: str) -> tuple[Interface, str, str] | None:
    """Return a profile's interface, its UUID, and what it is a port of; None for other files."""
    sections = parse_sections(text)
    connection = together(sections, "connection")
    kind = _KINDS.get(connection.last("type"), OTHER)
    if not connection.last("type") or kind == OTHER:
        return None
    ethernet = together(sections, "ethernet")
    if not ethernet.entries:
        ethernet = together(sections, "802-3-ethernet")
    name = connection.last("interface-name")
    mac = mac_address(ethernet.last("mac-address"))
    match = together(sections, "match")
    elsewhere = [
        f"{key} {match.last(key)}"
        for key in ("driver", "path", "interface-name")
        if match.last(key)
    ]
    vlan = together(sections, "vlan")
    parent = vlan.last("parent")
    tag = vlan.last("id")
    if kind == VLAN:
        name = name or vlan.last("interface-name")
        parent = parent or vlan_of(name)[0]
    families = [together(sections, "ipv4"), together(sections, "ipv6")]
    interface = Interface(
        manager=MANAGER,
        path=path,
        id=name or connection.last("uuid") or path,
        name=name,
        mac=mac if kind == ETHERNET else "",
        found_by=" ".join(elsewhere),
        kind=kind,
        lower=(parent,) if kind == VLAN and parent else (),
        tag=number(tag),
        dhcp=any(family.last("method") in ("auto", "dhcp") for family in families),
        addresses=tuple(found for family in families for found in _addresses(family)),
        gateway=next(filter(None, map(_gateway, families)), ""),
        automatic=connection.last("autoconnect").lower() not in _NO,
    )
    controller = connection.last("controller") or connection.last("master")
    return interface, connection.last("uuid"), controller


def linked(profiles: list[tuple[Interface, str, str]]) -> list[Interface]:
    """Return the interfaces of all profiles: who is whose port is said by the port."""
    found = []
    identities = {uuid: interface.id for interface, uuid, _controller in profiles if uuid}
    for interface, uuid, _controller in profiles:
        ports = [
            port.id
            for port, _port_uuid, controller in profiles
            if controller and controller in (interface.name, uuid)
        ]
        lower = [identities.get(each, each) for each in interface.lower]
        if interface.kind in (BOND, BRIDGE):
            lower += ports
        found.append(replace(interface, lower=tuple(lower)))
    return found


def _addresses(family: Section) -> tuple[Address, ...]:
    """Return the addresses of address1=192.0.2.10/24,192.0.2.1 and of older forms."""
    texts = [
        each.split(",")[0]
        for key, value in family.entries
        if re.fullmatch(r"address(es)?\d*", key)
        for each in value.split(";")
    ]
    return addresses(texts)


def _gateway(family: Section) -> str:
    if host(family.last("gateway")):
        return host(family.last("gateway"))
    for key, value in family.entries:
        parts = re.split(r"[,;]", value)
        if re.fullmatch(r"address(es)?\d*", key) and len(parts) > 1 and host(parts[1]):
            return host(parts[1])
    return ""
