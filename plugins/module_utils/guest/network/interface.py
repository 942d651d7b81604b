# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a configuration file says of one network interface, whatever the file's format."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..files import GuestFileError

ETHERNET = "ethernet"
BOND = "bond"
BRIDGE = "bridge"
VLAN = "vlan"
OTHER = "other"

_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_VLAN_NAME = re.compile(r"(.+)\.(\d{1,4})")


class NetworkFileError(GuestFileError):
    """A network configuration file of the guest could not be understood."""


@dataclass(frozen=True)
class Nic:
    """One NIC of the VM, as the manifest has it.

    Attributes:
        id: Its name in the manifest.
        mac: Its MAC address, in lower case with colons.
        slot: vSphere's slotInfo.pciSlotNumber, where it is known.
        adapter: Its type on vSphere, such as vmxnet3.
        addresses: What VMware Tools reported.
    """

    id: str
    mac: str
    slot: int | None = None
    adapter: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Address:
    """An address of an interface and the length of its network's prefix."""

    address: str
    prefix: int


@dataclass(frozen=True)
class Interface:
    """One interface as one file configures it.

    Attributes:
        manager: Who reads the file: ifupdown, netplan, systemd-networkd, …
        path: The file.
        id: What other entries of the same manager call it.
        name: The name that it must have in the kernel; "" where it is found otherwise.
        mac: The MAC address that it is found by, "" where it is found otherwise.
        names_itself: Whether the manager gives the name to the MAC address, before udev names NICs.
        found_by: Anything else that it is found by: "driver vmxnet3", "path pci-0000:0b:00.0".
        kind: ETHERNET, BOND, BRIDGE, VLAN or OTHER.
        lower: The ids of the interfaces that it stands on.
        tag: A VLAN's number.
        dhcp: Whether it asks for an address.
        addresses: Its own, static ones.
        gateway: Its default gateway.
        automatic: Whether it comes up at boot.
    """

    manager: str
    path: str
    id: str
    name: str = ""
    mac: str = ""
    names_itself: bool = False
    found_by: str = ""
    kind: str = ETHERNET
    lower: tuple[str, ...] = ()
    tag: int = 0
    dhcp: bool = False
    addresses: tuple[Address, ...] = ()
    gateway: str = ""
    automatic: bool = True

    @property
    def is_pattern(self) -> bool:
        """Whether the name stands for several (en*)."""
        return any(letter in self.name for letter in "*?[/!")


def nics_of(manifest: Mapping[str, Any]) -> tuple[Nic, ...]:
    """Return the NICs of a manifest's document, in its order; those without a MAC are left out."""
    found = []
    for number, entry in enumerate(manifest.get("nics") or []):
        mac = mac_address(str(entry.get("mac") or ""))
        if mac:
            slot = entry.get("pci_slot")
            found.append(
                Nic(
                    id=str(entry.get("id") or f"nic-{number}"),
                    mac=mac,
                    slot=slot if isinstance(slot, int) and slot >= 0 else None,
                    adapter=str(entry.get("adapter_type") or ""),
                    addresses=tuple(str(each) for each in entry.get("addresses") or ()),
                )
            )
    return tuple(found)


def mac_address(text: str) -> str:
    """Return an Ethernet address in lower case with colons, "" when it is none."""
    plain = text.strip().strip("\"'").lower().replace("-", ":")
    if re.fullmatch(r"\d{1,3}(?:;\d{1,3}){5};?", plain):  # NetworkManager's old keyfiles
        numbers = [int(part) for part in plain.rstrip(";").split(";")]
        return ":".join(f"{number:02x}" for number in numbers) if max(numbers) < 256 else ""
    return plain if _MAC.fullmatch(plain) else ""


def address(text: str, prefix: str = "") -> Address | None:
    """Return an address from 192.0.2.10/24, or from an address with a netmask or prefix apart.

    Without either it is a host's own network. None when it is no address.
    """
    plain = text.strip().strip("\"'")
    mask = prefix.strip().strip("\"'")
    try:
        found = ipaddress.ip_interface(f"{plain}/{mask}" if mask and "/" not in plain else plain)
    except ValueError:
        return None
    if found.ip.is_unspecified or found.ip.is_loopback:
        return None
    return Address(str(found.ip), found.network.prefixlen)


def addresses(texts: Iterable[str]) -> tuple[Address, ...]:
    """Return the addresses among some texts."""
    return tuple(found for found in map(address, texts) if found is not None)


def host(text: str) -> str:
    """Return an address without a prefix, "" when it is none."""
    found = address(text.split("/")[0])
    return found.address if found is not None else ""


def number(text: str) -> int:
    """Return a small number, a VLAN's for instance; 0 when it is none."""
    return int(text) if text.isdecimal() and len(text) < 6 else 0


def vlan_of(name: str) -> tuple[str, int]:
    """Return what ens192.30 stands on and its number; "" and 0 for other names."""
    match = _VLAN_NAME.fullmatch(name)
    return (match.group(1), int(match.group(2))) if match else ("", 0)
