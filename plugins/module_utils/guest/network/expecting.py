# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which addresses must answer, and on which NIC: bonds, bridges and VLANs followed down to hardware."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .interface import ETHERNET, VLAN, Interface, Nic
from .placing import Places


@dataclass(frozen=True)
class Expected:
    """A static address and the NIC that it must answer on.

    `nics` are all NICs that it may be reached on (a bond has several), `tag` the VLAN whose frames
    it answers, 0 for none.
    """

    nic: str
    mac: str
    address: str
    prefix: int
    gateway: str
    interface: str
    nics: tuple[str, ...] = ()
    tag: int = 0


def expected_of(
    wanted: Sequence[Interface],
    interfaces: Sequence[Interface],
    places: Places,
    nics: Sequence[Nic],
) -> list[Expected]:
    """Return the static addresses of interfaces that come up at boot.

    Args:
        wanted: The interfaces.
        interfaces: All that are in force, on which they may stand.
        places: Which NIC each name is.
        nics: The VM's NICs.
    """
    found: dict[tuple[str, str], Expected] = {}
    for interface in wanted:
        if not interface.automatic:
            continue
        carriers, tag = carriers_of(interface, interfaces, places, nics)
        for each in interface.addresses if carriers else ():
            found.setdefault(
                (carriers[0].id, each.address),
                Expected(
                    nic=carriers[0].id,
                    mac=carriers[0].mac,
                    address=each.address,
                    prefix=each.prefix,
                    gateway=interface.gateway,
                    interface=interface.name or _name_of(carriers[0], places) or interface.id,
                    nics=tuple(nic.id for nic in carriers),
                    tag=tag,
                ),
            )
    return list(found.values())


def _name_of(nic: Nic, places: Places) -> str:
    return next((each.name for each in places.placed if each.nic == nic), "")


def carriers_of(
    interface: Interface,
    interfaces: Sequence[Interface],
    places: Places,
    nics: Sequence[Nic],
    depth: int = 5,
) -> tuple[list[Nic], int]:
    """Return the NICs that an interface's frames go through, and the VLAN that they are in."""
    tag = interface.tag if interface.kind == VLAN else 0
    if interface.kind == ETHERNET:
        return _hardware(interface, places, nics), 0
    found: list[Nic] = []
    for lower in interface.lower if depth else ():
        below = [
            each
            for each in interfaces
            if each is not interface and lower in (each.id, each.name) and lower
        ]
        same = [each for each in below if each.manager == interface.manager] or below
        if not same:
            nic = places.nic_of(lower)
            found += [nic] if nic is not None else []
        for each in same[:1]:
            more, tag_below = carriers_of(each, interfaces, places, nics, depth - 1)
            found += more
            tag = tag or tag_below
    return list(dict.fromkeys(found)), tag


def _hardware(interface: Interface, places: Places, nics: Sequence[Nic]) -> list[Nic]:
    by_mac = [nic for nic in nics if nic.mac == interface.mac]
    if by_mac:
        return by_mac
    nic = places.nic_of(interface.name)
    return [nic] if nic is not None else []
