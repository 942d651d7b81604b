# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian's /etc/network/interfaces and what it sources.

Rules: interfaces(5) of ifupdown, with the options of its packages ifenslave, bridge-utils and vlan.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..files import GuestFiles, read_text
from .globbing import expand
from .interface import (
    BOND,
    BRIDGE,
    ETHERNET,
    VLAN,
    Interface,
    address,
    host,
    mac_address,
    number,
    vlan_of,
)

MANAGER = "ifupdown"
MAIN = "/etc/network/interfaces"
_DIRECTORY = "/etc/network"
_IN_DIRECTORY = re.compile(r"[A-Za-z0-9_-]+")
_MOST_FILES = 200


@dataclass
class Stanzas:
    """What one or several files say."""

    sources: list[tuple[str, str]] = field(default_factory=list)
    automatic: set[str] = field(default_factory=set)
    ifaces: list[tuple[str, str, str, dict[str, list[str]]]] = field(default_factory=list)


def parse(text: str, path: str = MAIN) -> Stanzas:
    """Return a file's stanzas: what it sources, what comes up by itself, and each iface.

    An iface is its file, its name, its method and its options.
    """
    stanzas = Stanzas()
    options: dict[str, list[str]] = {}
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        keyword, rest = words[0], words[1:]
        if keyword in ("source", "source-directory"):
            stanzas.sources += [(keyword, each) for each in rest]
            options = {}
        elif keyword == "auto" or keyword.startswith("allow-"):
            stanzas.automatic.update(each.partition("=")[0] for each in rest)
            options = {}
        elif keyword == "iface" and rest:
            options = {}
            method = rest[2] if len(rest) > 2 else ""
            stanzas.ifaces.append((path, rest[0], method, options))
        elif keyword in ("mapping", "rename", "template"):
            options = {}
        else:
            options.setdefault(keyword.replace("_", "-"), []).append(" ".join(rest))
    return stanzas


def read(files: GuestFiles) -> list[Interface]:
    """Return the interfaces of a guest's files."""
    stanzas = Stanzas()
    pending = [MAIN]
    seen: set[str] = set()
    while pending and len(seen) < _MOST_FILES:
        path = pending.pop(0)
        if path in seen or not files.is_file(path):
            continue
        seen.add(path)
        each = parse(read_text(files, path), path)
        stanzas.automatic |= each.automatic
        stanzas.ifaces += each.ifaces
        pending += [path for source in each.sources for path in _sourced(files, *source)]
    return interfaces(stanzas)


def interfaces(stanzas: Stanzas) -> list[Interface]:
    """Return the interfaces of some stanzas; those for the several families as one."""
    together: dict[str, Interface] = {}
    masters: dict[str, list[str]] = {}
    for path, label, method, options in stanzas.ifaces:
        name = label.partition(":")[0]
        if name == "lo" or method == "loopback":
            continue
        known = together.get(name)
        kind, lower, tag = _nature(name, options)
        for master in options.get("bond-master", []):
            masters.setdefault(master, []).append(name)
        found = address(_last(options, "address"), _last(options, "netmask"))
        own = (found,) if found is not None and method in ("static", "") else ()
        together[name] = Interface(
            manager=MANAGER,
            path=path,
            id=name,
            name=name,
            kind=kind if kind != ETHERNET or known is None else known.kind,
            lower=lower or (known.lower if known else ()),
            tag=tag or (known.tag if known else 0),
            dhcp=method == "dhcp" or (known is not None and known.dhcp),
            addresses=(*(known.addresses if known else ()), *own),
            gateway=host(_last(options, "gateway")) or (known.gateway if known else ""),
            automatic=name in stanzas.automatic or label in stanzas.automatic,
        )
    for master, ports in masters.items():
        if master in together:
            bond = together[master]
            lower = tuple(dict.fromkeys((*bond.lower, *ports)))
            together[master] = Interface(**{**vars(bond), "kind": BOND, "lower": lower})
    return list(together.values())


def _nature(name: str, options: dict[str, list[str]]) -> tuple[str, tuple[str, ...], int]:
    bridged = _ports(options, "bridge-ports")
    if "bridge-ports" in options:
        return BRIDGE, bridged, 0
    if "bond-slaves" in options or "slaves" in options or "bond-mode" in options:
        return BOND, _ports(options, "bond-slaves") + _ports(options, "slaves"), 0
    raw = _last(options, "vlan-raw-device")
    below, tag = vlan_of(name)
    if raw or below:
        in_name = re.fullmatch(r"vlan0*(\d+)", name)
        tag = tag or number(in_name.group(1) if in_name else _last(options, "vlan-id"))
        return VLAN, (raw or below,), tag
    return ETHERNET, (), 0


def _ports(options: dict[str, list[str]], key: str) -> tuple[str, ...]:
    words = " ".join(options.get(key, [])).split()
    if "regex" in words:
        words = words[: words.index("regex")]
    return tuple(word for word in words if word not in ("none", "all") and not mac_address(word))


def _last(options: dict[str, list[str]], key: str) -> str:
    return (options.get(key) or [""])[-1]


def _sourced(files: GuestFiles, keyword: str, pattern: str) -> list[str]:
    full = pattern if pattern.startswith("/") else f"{_DIRECTORY}/{pattern}"
    if keyword == "source":
        return expand(files, full)
    return [
        f"{directory}/{name}"
        for directory in expand(files, full)
        for name in files.list(directory)
        if _IN_DIRECTORY.fullmatch(name)
    ]
