# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""cloud-init's own network configuration, and whether it would write the guest's anew.

cloud-init renders the network of a new instance. On KVM the source that described the machine on
vSphere is gone, so it may take the machine for a new one and write a configuration that asks for
DHCP over the one that is there.
"""

from __future__ import annotations

from typing import Any

from ..files import GuestFiles, read_text
from ..repair import Repair
from . import netplan
from .interface import Interface, NetworkFileError, addresses, host, mac_address

MANAGER = "cloud-init"
SWITCHED_OFF = "/etc/cloud/cloud.cfg.d/99-hyper2kvm-keep-network.cfg"
_CONFIG = "/etc/cloud/cloud.cfg"
_DIRECTORY = "/etc/cloud/cloud.cfg.d"
_SEEDS = (
    "/var/lib/cloud/seed/nocloud/network-config",
    "/var/lib/cloud/seed/nocloud-net/network-config",
)
_PROGRAMS = ("/usr/bin/cloud-init", "/usr/local/bin/cloud-init")
_TEXT = """\
# The network's files are the ones that this machine had on vSphere.
# Written by the Ansible collection hypersdk.hyper2kvm; without this file
# cloud-init may take the machine for a new one and write them anew.
network: {config: disabled}
"""


def read(files: GuestFiles) -> tuple[list[Interface], list[tuple[str, NetworkFileError]]]:
    """Return the interfaces of cloud-init's configuration and seeds, and what can't be read."""
    found: list[Interface] = []
    unreadable: list[tuple[str, NetworkFileError]] = []
    for path in (*_configuration(files), *(seed for seed in _SEEDS if files.is_file(seed))):
        try:
            document = netplan.load(read_text(files, path), path)
        except NetworkFileError as error:
            unreadable.append((path, error))
            continue
        found += parse(document, path)
    return found, unreadable


def parse(document: Any, path: str) -> list[Interface]:
    """Return the interfaces of one document: version 2 is netplan's, version 1 cloud-init's own."""
    network = document.get("network") if isinstance(document, dict) else None
    network = network if isinstance(network, dict) else document
    if not isinstance(network, dict):
        return []
    if network.get("version") == "2":
        return netplan.interfaces([(path, {"network": network})], MANAGER)
    entries = network.get("config")
    found = []
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("type") == "physical":
            found.append(_physical(entry, path))
    return found


def _physical(entry: dict[str, Any], path: str) -> Interface:
    name = entry.get("name") if isinstance(entry.get("name"), str) else ""
    mac = mac_address(str(entry.get("mac_address") or ""))
    given = entry.get("subnets")
    subnets = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    texts = []
    for subnet in subnets:
        text, mask = str(subnet.get("address") or ""), str(subnet.get("netmask") or "")
        texts.append(f"{text}/{mask}" if mask and "/" not in text else text)
    return Interface(
        manager=MANAGER,
        path=path,
        id=str(name or mac),
        name=str(name or ""),
        mac=mac,
        dhcp=any(str(subnet.get("type")).startswith("dhcp") for subnet in subnets),
        addresses=addresses(texts),
        gateway=next((host(str(s["gateway"])) for s in subnets if s.get("gateway")), ""),
    )


def would_write(files: GuestFiles) -> bool:
    """Tell whether cloud-init is there, runs, and may write the network's files."""
    if not any(files.exists(program) for program in _PROGRAMS):
        return False
    if files.exists("/etc/cloud/cloud-init.disabled"):
        return False
    for path in _configuration(files):
        try:
            document = netplan.load(read_text(files, path), path)
        except NetworkFileError:
            continue
        # What the system's own configuration says of the network is what it writes again.
        if isinstance(document, dict) and document.get("network"):
            return False
    return True


def keep_from_writing(files: GuestFiles) -> list[Repair]:
    """Tell cloud-init to leave the network alone, where it would not."""
    if not would_write(files):
        return []
    files.write(SWITCHED_OFF, _TEXT.encode())
    what = "Told cloud-init to leave the network's files as they are"
    return [Repair(what, SWITCHED_OFF, "", "network: {config: disabled}")]


def _configuration(files: GuestFiles) -> list[str]:
    paths = [f"{_DIRECTORY}/{name}" for name in files.list(_DIRECTORY) if name.endswith(".cfg")]
    return [path for path in (_CONFIG, *paths) if files.is_file(path)]
