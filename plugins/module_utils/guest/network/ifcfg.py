# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ifcfg files of RHEL and of SUSE.

Rules: sysconfig.txt of RHEL's initscripts and nm-settings-ifcfg-rh(5); ifcfg(5), ifcfg-bonding(5),
ifcfg-bridge(5), ifcfg-vlan(5) and routes(5) of SUSE's wicked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from ..files import GuestFiles, text_of
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

RHEL = "ifcfg"
SUSE = "ifcfg (SUSE)"
RHEL_DIRECTORY = "/etc/sysconfig/network-scripts"
SUSE_DIRECTORY = "/etc/sysconfig/network"
_SETTING = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_SCRAPS = re.compile(
    r"(~|\.(bak|old|orig|rpmsave|rpmnew|rpmorig|swp|template|scpmbackup)|hyper2kvm.*)$"
)
_SUSE_BY_MAC = re.compile(r"(?:eth-id-|en-id-)?((?:[0-9a-f]{2}:){5}[0-9a-f]{2})")
_YES = frozenset({"yes", "true", "1", "y", "on"})


def parse(text: str) -> dict[str, str]:
    """Return the settings of a file, which is made of shell assignments; the last one wins."""
    settings = {}
    for line in text.splitlines():
        match = _SETTING.match(line)
        if match:
            settings[match.group(1)] = _value(match.group(2))
    return settings


def read_rhel(files: GuestFiles) -> list[Interface]:
    """Return the interfaces of RHEL's files."""
    general = _settings(files, "/etc/sysconfig/network")
    found: list[Interface] = []
    masters: dict[str, list[str]] = {}
    for path in _paths(files, RHEL_DIRECTORY):
        settings = _settings(files, path)
        interface = rhel_interface(settings, path, general)
        for key in ("MASTER", "BRIDGE", "TEAM_MASTER"):
            if settings.get(key):
                masters.setdefault(settings[key], []).append(interface.id)
        found.append(interface)
    # DEVICE=eth0:1 is another address of eth0, in a file of its own.
    aliases = [each for each in found if ":" in each.name]
    plain = {each.id: each for each in found if ":" not in each.name}
    for alias in aliases:
        owner = plain.get(alias.name.partition(":")[0])
        if owner is not None:
            plain[owner.id] = replace(owner, addresses=(*owner.addresses, *alias.addresses))
    return [
        replace(each, lower=(*each.lower, *masters.get(each.name, ()))) for each in plain.values()
    ]


def rhel_interface(settings: Mapping[str, str], path: str, general: Mapping[str, str]) -> Interface:
    """Return the interface of one of RHEL's files.

    Args:
        settings: The file's.
        path: The file.
        general: Those of /etc/sysconfig/network.
    """
    name = settings.get("DEVICE", "")
    kind, lower, tag = _rhel_nature(settings, name)
    mac = mac_address(settings.get("HWADDR", "")) if kind == ETHERNET else ""
    found = [
        address(settings[f"IPADDR{index}"], _prefix(settings, index))
        for index in ("", *map(str, range(256)))
        if settings.get(f"IPADDR{index}")
    ]
    six = (settings.get("IPV6ADDR", "") + " " + settings.get("IPV6ADDR_SECONDARIES", "")).split()
    found += [address(each) for each in six]
    gateway = settings.get("GATEWAY") or settings.get("GATEWAY0") or ""
    if not gateway and general.get("GATEWAYDEV", name) == name and any(found):
        gateway = general.get("GATEWAY", "")
    protocol = settings.get("BOOTPROTO", "").lower()
    return Interface(
        manager=RHEL,
        path=path,
        id=name or path,
        name=name,
        mac=mac,
        kind=kind,
        lower=lower,
        tag=tag,
        dhcp=protocol in ("dhcp", "bootp") or settings.get("DHCPV6C", "").lower() in _YES,
        addresses=tuple(each for each in found if each is not None),
        gateway=host(gateway) or host(settings.get("IPV6_DEFAULTGW", "").partition("%")[0]),
        automatic=settings.get("ONBOOT", "yes").lower() in _YES,
    )


def read_suse(files: GuestFiles) -> list[Interface]:
    """Return the interfaces of SUSE's files."""
    common = _routes(files, f"{SUSE_DIRECTORY}/routes")
    found = []
    for path in _paths(files, SUSE_DIRECTORY):
        label = path.rpartition("/ifcfg-")[2]
        routes = _routes(files, f"{SUSE_DIRECTORY}/ifroute-{label}") or common
        found.append(suse_interface(_settings(files, path), path, routes))
    return found


def suse_interface(
    settings: Mapping[str, str], path: str, routes: Mapping[str, str] | None = None
) -> Interface:
    """Return the interface of one of SUSE's files.

    Args:
        settings: The file's.
        path: The file, whose name says which interface.
        routes: The default gateways by the interface that they are for, "" for any.
    """
    label = path.rpartition("/ifcfg-")[2]
    by_mac = _SUSE_BY_MAC.fullmatch(label)
    mac = by_mac.group(1) if by_mac else ""
    name = "" if mac else label
    kind, lower, tag = _suse_nature(settings, name)
    found = []
    for key, text in settings.items():
        match = re.fullmatch(r"IPADDR(_?\w*)", key)
        if match:
            suffix = match.group(1)
            mask = settings.get(f"PREFIXLEN{suffix}") or settings.get(f"NETMASK{suffix}") or ""
            found.append(address(text, mask))
    protocol = settings.get("BOOTPROTO", "static").lower()
    gateways = routes or {}
    has_address = any(found)
    return Interface(
        manager=SUSE,
        path=path,
        id=name or mac,
        name=name,
        mac=mac,
        found_by=f"bus {label}" if label.startswith("bus-") else "",
        kind=kind,
        lower=lower,
        tag=tag,
        dhcp="dhcp" in protocol,
        addresses=tuple(each for each in found if each is not None),
        gateway=gateways.get(name) or (gateways.get("", "") if has_address else ""),
        automatic=settings.get("STARTMODE", "manual").lower()
        in ("auto", "onboot", "boot", "on", "hotplug", "ifplugd", "nfsroot"),
    )


def _rhel_nature(settings: Mapping[str, str], name: str) -> tuple[str, tuple[str, ...], int]:
    kind = settings.get("TYPE", "").lower()
    bonded = "BONDING_OPTS" in settings or settings.get("BONDING_MASTER", "").lower() in _YES
    if kind in ("bond", "team") or bonded or settings.get("DEVICETYPE", "").lower() == "team":
        return BOND, (), 0
    if kind == "bridge":
        return BRIDGE, (), 0
    below, tag = vlan_of(name)
    if kind == "vlan" or settings.get("VLAN", "").lower() in _YES:
        in_name = re.fullmatch(r"vlan0*(\d+)", name)
        tag = tag or number(in_name.group(1) if in_name else "")
        tag = number(settings.get("VLAN_ID", "")) or tag
        return VLAN, tuple(filter(None, (settings.get("PHYSDEV") or below,))), tag
    return ETHERNET, (), 0


def _suse_nature(settings: Mapping[str, str], name: str) -> tuple[str, tuple[str, ...], int]:
    if settings.get("BONDING_MASTER", "").lower() in _YES:
        slaves = [settings[key] for key in sorted(settings) if key.startswith("BONDING_SLAVE")]
        return BOND, tuple(filter(None, slaves)), 0
    if settings.get("BRIDGE", "").lower() in _YES:
        return BRIDGE, tuple(settings.get("BRIDGE_PORTS", "").split()), 0
    below, tag = vlan_of(name)
    device = settings.get("ETHERDEVICE") or ""
    if device or below:
        in_name = re.search(r"(\d+)$", name)
        tag = tag or number(in_name.group(1) if in_name else "")
        tag = number(settings.get("VLAN_ID", "")) or tag
        return VLAN, (device or below,), tag
    return ETHERNET, (), 0


def _prefix(settings: Mapping[str, str], index: str) -> str:
    return settings.get(f"PREFIX{index}") or settings.get(f"NETMASK{index}") or ""


def _routes(files: GuestFiles, path: str) -> dict[str, str]:
    """Return the default gateways of a routes file: DESTINATION GATEWAY NETMASK INTERFACE."""
    found: dict[str, str] = {}
    for line in text_of(files, path).splitlines():
        words = line.split()
        if len(words) > 1 and words[0] in ("default", "0.0.0.0/0", "::/0") and host(words[1]):
            interface = words[3] if len(words) > 3 and words[3] != "-" else ""
            found.setdefault(interface, host(words[1]))
    return found


def _settings(files: GuestFiles, path: str) -> dict[str, str]:
    return parse(text_of(files, path))


def _paths(files: GuestFiles, directory: str) -> list[str]:
    return [
        f"{directory}/{name}"
        for name in files.list(directory)
        if name.startswith("ifcfg-") and name != "ifcfg-lo" and not _SCRAPS.search(name)
    ]


def _value(text: str) -> str:
    """Return what a shell would make of an assignment's right side, expansions aside."""
    stripped = text.strip()
    if stripped[:1] in ("'", '"'):
        end = stripped.find(stripped[0], 1)
        return stripped[1:end] if end > 0 else stripped[1:]
    return re.split(r"\s", stripped, maxsplit=1)[0]
