# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network files that the user gives a guest: what it must answer at from then on.

They are read where they lie in the guest after FIX, beside the guest's own: an address that the
guest had is expected still, unless a given file configures its NIC.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from ..files import GuestFiles
from ..repair import WARNING, Finding
from . import networkd, udev
from .expecting import carriers_of, expected_of
from .interface import ETHERNET, Interface, Nic
from .managers import is_in_force
from .placing import Places, place
from .reading import NetworkReading, read_interfaces

_ENABLING = {
    networkd.MANAGER: "configuration.network.enable_networkd",
    "NetworkManager": "configuration.network.enable_network_manager",
}


def with_given(
    files: GuestFiles, reading: NetworkReading, nics: Sequence[Nic], paths: Collection[str]
) -> NetworkReading:
    """Return a reading with what is to be expected once given files are in force.

    Args:
        files: The guest as it is going to boot.
        reading: What was read of it before FIX.
        nics: The VM's NICs, with the MAC addresses that they have on KVM.
        paths: The given files' paths in the guest.
    """
    interfaces, unreadable = read_interfaces(files)
    managers = {each.manager for each in interfaces}
    in_force = {manager for manager in managers if is_in_force(files, manager)}
    active = [each for each in interfaces if each.manager in in_force]
    places = place(active, udev.read(files), nics)
    given = [each for each in active if each.path in paths]
    findings = [finding for finding in unreadable if finding.path in paths]
    findings += _idle([each for each in interfaces if each.path in paths], in_force)
    findings += _nowhere(given, active, places, nics)
    taken = {
        wire: each
        for each in given
        for wire in _wires(each, active, places, nics)
        if _is_configured(each)
    }
    left: list[Interface] = []
    for each in active:
        rivals = [taken.get(wire) for wire in _wires(each, active, places, nics)]
        rival = next((found for found in rivals if found is not None), None)
        if each in given or rival is None or not _is_configured(each):
            left.append(each)
        else:
            findings.append(_contested(each, rival))
    return replace(
        reading,
        expected=tuple(expected_of(left, active, places, nics)),
        dhcp=tuple(dict.fromkeys(each.name or each.mac or each.id for each in left if each.dhcp)),
        findings=(*reading.findings, *findings),
    )


def _is_configured(interface: Interface) -> bool:
    """Tell whether an interface has or gets an address: a bond's port has none."""
    return bool(interface.addresses or interface.dhcp)


def _wires(
    interface: Interface, active: Sequence[Interface], places: Places, nics: Sequence[Nic]
) -> list[tuple[str, int]]:
    """Return the NICs' IDs, each with the VLAN, that an interface's frames go through."""
    carriers, tag = carriers_of(interface, active, places, nics)
    return [(nic.id, tag) for nic in carriers]


def _idle(given: Sequence[Interface], in_force: Collection[str]) -> list[Finding]:
    return [
        Finding(
            WARNING,
            each.path,
            f"The given file is {each.manager}'s, which does not configure the guest's network: it is"
            " not installed, masked or not enabled.",
            f"Enable it with {_ENABLING.get(each.manager, 'configuration.services')}, or give a file of"
            " the manager that the guest has.",
        )
        for each in given
        if each.manager not in in_force
    ]


def _nowhere(
    given: Sequence[Interface],
    active: Sequence[Interface],
    places: Places,
    nics: Sequence[Nic],
) -> list[Finding]:
    known = ", ".join(f"{each.name} ({each.nic.mac})" for each in places.placed) or "none"
    return [
        Finding(
            WARNING,
            each.path,
            f"The given file is for {each.name or each.mac}, and no NIC of the VM is that: {known}.",
            "Name the interface, or the MAC address that it has on KVM.",
        )
        for each in given
        if each.kind == ETHERNET
        and (each.name or each.mac)
        and not each.is_pattern
        and not _wires(each, active, places, nics)
    ]


def _contested(interface: Interface, given: Interface) -> Finding:
    action = "Name yours as that file, so that it takes its place."
    if interface.manager != given.manager:
        action = (
            f"Turn {interface.manager} off with configuration.services, or take the interface out of"
            " its file before the export; until then both configure it."
        )
    return Finding(
        WARNING,
        interface.path,
        f"It configures {interface.name or interface.mac or interface.id} as well, which {given.path}"
        " is given for.",
        action,
    )
