# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which NIC of the VM a name belonged to on vSphere.

systemd.net-naming-scheme(7) makes ens192 of what the firmware says of a PCI slot. vSphere's
pciSlotNumber has the slot in its lower ten bits and, above them, which device behind a root port:
1184 is 160 + 1024, the slot that Linux calls 161. Where no slot is said, the name is made of the
bus; the root ports' buses are those of vSphere's virtual hardware.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .interface import BOND, BRIDGE, ETHERNET, VLAN, Interface, Nic
from .udev import Udev

# Bus of the first device behind the root ports whose slots these are, and the bus of slots 32 to 63.
_BUSES = {160: 3, 192: 11, 224: 19, 256: 27}
_BRIDGE_BUS = 2
BY_ORDER = "by the order of the PCI slots"
_KERNEL_NAME = re.compile(r"eth(\d+)")
_BY_MAC = re.compile(r"enx([0-9a-f]{12})")
_SUFFIX = re.compile(r"(?:f\d+)?(?:np?\w+|d\d+)?")


@dataclass(frozen=True)
class Placed:
    """A name and the NIC that had it. `how` says how that is known, `used` whether a file says it."""

    name: str
    nic: Nic
    how: str
    used: bool = True


@dataclass(frozen=True)
class Places:
    """All of them, and the names that no NIC was found for, each with its file."""

    placed: tuple[Placed, ...]
    unplaced: tuple[tuple[str, str], ...]

    def nic_of(self, name: str) -> Nic | None:
        """Return the NIC that had a name."""
        return next((each.nic for each in self.placed if each.name == name), None)


def place(interfaces: Sequence[Interface], udev: Udev, nics: Sequence[Nic]) -> Places:
    """Find the NIC of every name that a guest's files rely on, and the name of every NIC."""
    names = relied_on(interfaces)
    found: dict[str, Placed] = {}

    def settle(name: str, nic: Nic | None, how: str) -> None:
        if nic is not None and name not in found and nic not in _taken(found):
            found[name] = Placed(name, nic, how, name in names)

    by_mac = {nic.mac: nic for nic in nics}
    for naming in (*udev.rules, *(udev.links if udev.reads_links else ())):
        settle(naming.name, by_mac.get(naming.mac), f"by MAC, {naming.path}")
    for interface in interfaces:
        if interface.kind == ETHERNET and interface.name and not interface.is_pattern:
            settle(interface.name, by_mac.get(interface.mac), f"by MAC, {interface.path}")
    kernels_own = any(_KERNEL_NAME.fullmatch(name) for name in names)
    for name in names:
        match = _BY_MAC.fullmatch(name)
        mac = ":".join(re.findall("..", match.group(1))) if match else ""
        settle(name, by_mac.get(mac), "by the MAC in the name")
        # With net.ifnames=0 a file for ens192 is a leftover, unless nothing else is there.
        for nic in nics if udev.predictable or not kernels_own else ():
            settle(name, nic if _is_slot(name, nic) else None, f"by PCI slot {nic.slot}")
    for interface in interfaces:
        texts = {each.address for each in interface.addresses}
        same = [nic for nic in nics if texts & set(nic.addresses)]
        if interface.kind == ETHERNET and interface.name in names and len(same) == 1:
            settle(interface.name, same[0], "by the address that VMware Tools reported")
    if not udev.predictable or kernels_own:
        for name, nic in zip(_kernel_names(len(nics)), in_kernel_order(nics)):
            if name in names or not udev.predictable:
                settle(name, nic, BY_ORDER)
    left = [name for name in names if name not in found]
    free = [nic for nic in nics if nic not in _taken(found)]
    if len(left) == 1 and len(free) == 1 and not _is_another_slots(left[0], free[0]):
        settle(left[0], free[0], "it is the only one left")
    for nic in nics:
        if udev.predictable and nic not in _taken(found) and nic.slot is not None:
            settle(f"ens{slot_number(nic.slot)}", nic, f"by PCI slot {nic.slot}")
    unplaced = tuple((name, path) for name, path in names.items() if name not in found)
    return Places(tuple(found.values()), unplaced)


def relied_on(interfaces: Sequence[Interface]) -> dict[str, str]:
    """Return the names of hardware that a guest's files rely on, each with its first file."""
    virtual = {each.name or each.id for each in interfaces if each.kind in (BOND, BRIDGE, VLAN)}
    ids = {each.id for each in interfaces}
    found: dict[str, str] = {}
    for interface in interfaces:
        own = interface.kind == ETHERNET and interface.name and not interface.is_pattern
        if own and interface.name not in virtual:
            found.setdefault(interface.name, interface.path)
        for lower in interface.lower:
            if lower not in ids and lower not in virtual:
                found.setdefault(lower, interface.path)
    return {name: path for name, path in found.items() if _is_hardware(name)}


def slot_number(slot: int) -> int:
    """Return the number that Linux has for vSphere's pciSlotNumber."""
    return (slot & 1023) + (slot >> 10)


def path_name(slot: int) -> str:
    """Return the name that Linux makes of the bus, "" where the slot is none of the usual ones."""
    base, further = slot & 1023, slot >> 10
    if base in _BUSES:
        return f"enp{_BUSES[base] + further}s0"
    if base in (161, 193, 225, 257):  # as some vSphere releases number them
        return f"enp{_BUSES[base - 1] + 1}s0"
    return f"enp{_BRIDGE_BUS}s{base - 32}" if 32 <= base < 64 and not further else ""


def in_kernel_order(nics: Sequence[Nic]) -> list[Nic]:
    """Return NICs in the order in which the kernel finds them: by bus, then by device."""

    def position(nic: Nic) -> tuple[int, int]:
        match = (
            re.fullmatch(r"enp(\d+)s(\d+)", path_name(nic.slot)) if nic.slot is not None else None
        )
        return (int(match.group(1)), int(match.group(2))) if match else (1000, nics.index(nic))

    if any(nic.slot is None for nic in nics):
        return list(nics)
    return sorted(nics, key=position)


def _is_slot(name: str, nic: Nic) -> bool:
    if nic.slot is None:
        return False
    for expected in (f"ens{slot_number(nic.slot)}", path_name(nic.slot)):
        rest = name[len(expected) :]
        if expected and name.startswith(expected) and not rest[:1].isdigit():
            return _SUFFIX.fullmatch(rest) is not None
    return False


def _is_another_slots(name: str, nic: Nic) -> bool:
    """Tell whether a name says a slot that is not this NIC's."""
    return nic.slot is not None and re.match(r"en(s\d|p\d|x)", name) is not None


def _is_hardware(name: str) -> bool:
    return not re.match(
        r"(lo|docker|virbr|veth|tun|tap|wg|ppp|dummy|wl|ww|sit|gre|ib|br-|tailscale|zt)", name
    )


def _kernel_names(count: int) -> Iterable[str]:
    return (f"eth{number}" for number in range(count))


def _taken(found: dict[str, Placed]) -> list[Nic]:
    return [each.nic for each in found.values()]
