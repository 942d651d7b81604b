# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""systemd-networkd's .network and .netdev files and their drop-ins.

Rules: systemd.network(5), systemd.netdev(5). Vendors' files below /usr/lib are for containers and
the like; what configures a guest is in /etc.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..files import GuestFiles, read_text
from .interface import (
    BOND,
    BRIDGE,
    ETHERNET,
    OTHER,
    VLAN,
    Interface,
    addresses,
    host,
    mac_address,
    number,
)
from .sections import Section, parse_sections, together

MANAGER = "systemd-networkd"
_DIRECTORIES = ("/usr/local/lib/systemd/network", "/etc/systemd/network")
_KINDS = {"bond": BOND, "bridge": BRIDGE, "vlan": VLAN}
_ELSEWHERE = {"Driver": "driver", "Path": "path", "OriginalName": "original name"}
_DEFAULT_ROUTES = ("", "0.0.0.0/0", "::/0")


@dataclass(frozen=True)
class Network:
    """A .network file: its path and its sections, drop-ins included."""

    path: str
    sections: tuple[Section, ...]

    def part(self, name: str) -> Section:
        """Return all sections of a name as one."""
        return together(list(self.sections), name)


@dataclass(frozen=True)
class Device:
    """A .netdev file."""

    path: str
    name: str
    kind: str
    tag: int = 0


def read(files: GuestFiles) -> list[Interface]:
    """Return the interfaces of a guest's files."""
    networks, devices = [], []
    for path in unit_files(files, ".netdev", _DIRECTORIES):
        device = parse_device(path, with_drop_ins(files, path))
        if device is not None:
            devices.append(device)
    for path in unit_files(files, ".network", _DIRECTORIES):
        networks.append(Network(path, tuple(with_drop_ins(files, path))))
    return interfaces(networks, devices)


def unit_files(files: GuestFiles, ending: str, directories: tuple[str, ...]) -> list[str]:
    """Return the files with an ending, in the order that counts; those of /etc win by name."""
    paths = {
        name: f"{directory}/{name}"
        for directory in directories
        for name in files.list(directory)
        if name.endswith(ending) and files.is_file(f"{directory}/{name}")
    }
    return [paths[name] for name in sorted(paths)]


def with_drop_ins(files: GuestFiles, path: str) -> list[Section]:
    """Return the sections of a file and of its drop-ins."""
    sections = parse_sections(read_text(files, path))
    for name in files.list(f"{path}.d"):
        drop_in = f"{path}.d/{name}"
        if name.endswith(".conf") and files.is_file(drop_in):
            sections += parse_sections(read_text(files, drop_in))
    return sections


def parse_device(path: str, sections: list[Section]) -> Device | None:
    """Return a .netdev file's device, None when it names none."""
    device = together(sections, "NetDev")
    name = device.last("Name")
    tag = together(sections, "VLAN").last("Id")
    kind = _KINDS.get(device.last("Kind"), OTHER)
    if not name:
        return None
    return Device(path, name, kind, number(tag))


def interfaces(networks: list[Network], devices: list[Device]) -> list[Interface]:
    """Return the interfaces of some files."""
    known = {device.name: device for device in devices}
    found: list[Interface] = []
    lower: dict[str, list[str]] = {}
    for network in networks:
        for interface in _matched(network, known):
            found.append(interface)
            for key in ("Bond", "Bridge", "VLAN"):
                for upper in network.part("Network").all(key):
                    lower.setdefault(upper, []).append(interface.id)
    configured = {interface.name for interface in found}
    for device in devices:
        if device.name not in configured:
            found.append(
                Interface(
                    MANAGER,
                    device.path,
                    device.name,
                    device.name,
                    kind=device.kind,
                    tag=device.tag,
                )
            )
    return [
        Interface(**{**vars(each), "lower": tuple(lower.get(each.name, ()))})
        if each.kind != ETHERNET
        else each
        for each in found
    ]


def _matched(network: Network, devices: dict[str, Device]) -> list[Interface]:
    """Return an interface for each name that a file matches, or one for what else it matches."""
    match = network.part("Match")
    names = " ".join(match.all("Name")).split()
    macs = [mac_address(word) for word in " ".join(match.all("MACAddress")).split()]
    macs += [mac_address(word) for word in " ".join(match.all("PermanentMACAddress")).split()]
    elsewhere = " ".join(
        f"{text} {value}" for key, text in _ELSEWHERE.items() for value in match.all(key)
    )
    settings = network.part("Network")
    texts = [*settings.all("Address"), *network.part("Address").all("Address")]
    link = network.part("Link")
    automatic = link.last("Unmanaged").lower() not in ("yes", "true", "1") and link.last(
        "ActivationPolicy"
    ) not in ("down", "always-down", "manual")
    # With several names or MAC addresses they all get the same addresses: it is one or the other.
    own = [(name, "") for name in names if not name.startswith("!")]
    own = own or [("", mac) for mac in macs if mac]
    if not own and (elsewhere or match.all("Type")):
        own = [("", "")]
    return [
        Interface(
            manager=MANAGER,
            path=network.path,
            id=name or f"{network.path}#{mac}",
            name=name,
            mac=mac or (macs[0] if len(own) == 1 and len(macs) == 1 else ""),
            found_by=elsewhere,
            kind=devices[name].kind if name in devices else ETHERNET,
            tag=devices[name].tag if name in devices else 0,
            dhcp=settings.last("DHCP").lower()
            in ("yes", "true", "both", "ipv4", "ipv6", "v4", "1"),
            addresses=addresses(texts),
            gateway=_gateway(network),
            automatic=automatic,
        )
        for name, mac in own
    ]


def _gateway(network: Network) -> str:
    for text in network.part("Network").all("Gateway"):
        if host(text):
            return host(text)
    for section in network.sections:
        if section.name == "Route" and section.last("Destination") in _DEFAULT_ROUTES:
            return host(section.last("Gateway"))
    return ""
