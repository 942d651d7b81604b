# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a guest's disk says of its network, read before FIX; nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..files import GuestFileError, GuestFiles
from ..repair import WARNING, Finding
from . import cloud_init, ifcfg, ifupdown, keyfiles, netplan, networkd, udev, wicked
from .expecting import Expected, expected_of
from .interface import ETHERNET, Interface, Nic
from .managers import is_in_force
from .placing import BY_ORDER, Placed, Places, in_kernel_order, place, relied_on
from .udev import Naming, Udev


@dataclass(frozen=True)
class Named:
    """A name that a NIC had.

    `used` says whether a file of the guest relies on it, `itself` whether the one manager that does
    gives it to the MAC address by itself.
    """

    name: str
    nic: str
    mac: str
    how: str
    used: bool = True
    itself: bool = False


@dataclass(frozen=True)
class NetworkReading:
    """What a guest relies on.

    Attributes:
        ways: The managers with files, each with its files.
        idle: Those of them that are not in force: their addresses are not expected.
        names: The NICs' names.
        macs: MAC addresses that files name, in lower case.
        expected: The static addresses of interfaces that come up at boot.
        dhcp: The interfaces that ask for an address.
        order: The NICs in the order in which the kernel must find them, where names such as eth0
            depend on it; empty where the order doesn't matter.
        udev: How the guest names its NICs.
        findings: What will not be on KVM as it was, or can't be told.
    """

    ways: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    idle: tuple[str, ...] = ()
    names: tuple[Named, ...] = ()
    macs: tuple[str, ...] = ()
    expected: tuple[Expected, ...] = ()
    dhcp: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    udev: Udev = field(default_factory=Udev)
    findings: tuple[Finding, ...] = ()

    def as_values(self) -> dict[str, Any]:
        """Return all of it as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> NetworkReading:
        """Return what as_values() was made of."""
        naming = dict(values["udev"])
        for key in ("rules", "links"):
            naming[key] = tuple(Naming(**each) for each in naming[key])
        return cls(
            ways={manager: tuple(paths) for manager, paths in values["ways"].items()},
            idle=tuple(values["idle"]),
            names=tuple(Named(**each) for each in values["names"]),
            macs=tuple(values["macs"]),
            expected=tuple(
                Expected(**{**each, "nics": tuple(each["nics"])}) for each in values["expected"]
            ),
            dhcp=tuple(values["dhcp"]),
            order=tuple(values["order"]),
            udev=Udev(**naming),
            findings=tuple(Finding(**each) for each in values["findings"]),
        )

    def summary(self) -> dict[str, Any]:
        """Return what a playbook may read of it, as plain values."""
        return {
            "ways": [
                {
                    "manager": manager,
                    "paths": list(paths),
                    "in_force": manager not in self.idle,
                }
                for manager, paths in self.ways.items()
            ],
            "names": [dict(vars(each)) for each in self.names],
            "expected": [{**vars(each), "nics": list(each.nics)} for each in self.expected],
            "dhcp": list(self.dhcp),
            "order": list(self.order),
        }


def read_network(files: GuestFiles, nics: Sequence[Nic]) -> NetworkReading:
    """Return what a guest's network relies on.

    Args:
        files: The guest before FIX.
        nics: The VM's NICs, in the manifest's order.
    """
    interfaces, findings = read_interfaces(files)
    naming = udev.read(files)
    managers = dict.fromkeys(each.manager for each in interfaces)
    idle = tuple(manager for manager in managers if not is_in_force(files, manager))
    active = [each for each in interfaces if each.manager not in idle]
    # What is in force has the first word about a NIC.
    leftovers = [each for each in interfaces if each.manager in idle]
    places = place([*active, *leftovers], naming, nics)
    findings += _unplaced(places, relied_on(active), nics)
    findings += [finding for each in active for finding in _of_interface(each, nics)]
    order, disorder = _order(places, nics)
    expected = expected_of(active, active, places, nics)
    ways: dict[str, list[str]] = {}
    for each in interfaces:
        paths = ways.setdefault(each.manager, [])
        if each.path not in paths:
            paths.append(each.path)
    return NetworkReading(
        ways={manager: tuple(paths) for manager, paths in ways.items()},
        idle=idle,
        names=tuple(
            Named(
                each.name,
                each.nic.id,
                each.nic.mac,
                each.how,
                each.used,
                _names_itself(each, interfaces),
            )
            for each in places.placed
        ),
        macs=tuple(dict.fromkeys(each.mac for each in interfaces if each.mac)),
        expected=tuple(expected),
        dhcp=tuple(dict.fromkeys(each.name or each.mac or each.id for each in active if each.dhcp)),
        order=order,
        udev=naming,
        findings=(*findings, *disorder),
    )


def read_interfaces(files: GuestFiles) -> tuple[list[Interface], list[Finding]]:
    """Return the interfaces that any file of a guest configures, and what could not be understood."""
    plain: tuple[tuple[str, Callable[[GuestFiles], list[Interface]]], ...] = (
        (ifupdown.MAIN, ifupdown.read),
        (networkd.MANAGER, networkd.read),
        (keyfiles.MANAGER, keyfiles.read),
        (ifcfg.RHEL_DIRECTORY, ifcfg.read_rhel),
        (ifcfg.SUSE_DIRECTORY, ifcfg.read_suse),
    )
    found: list[Interface] = []
    unreadable: list[tuple[str, GuestFileError]] = []
    for place_, reader in plain:
        try:
            found += reader(files)
        except GuestFileError as error:
            unreadable.append((place_, error))
    for checked in (netplan, wicked, cloud_init):
        try:
            more, failed = checked.read(files)
        except GuestFileError as error:
            unreadable.append((checked.MANAGER, error))
        else:
            found += more
            unreadable += failed
    return found, [
        Finding(
            WARNING,
            path,
            error.message,
            error.action or "Look at the file; what it says of the network was not considered.",
        )
        for path, error in unreadable
    ]


def _names_itself(placed: Placed, interfaces: Sequence[Interface]) -> bool:
    relying = [each for each in interfaces if placed.name in (each.name, *each.lower) and each.name]
    managers = {each.manager for each in relying}
    giving = [each for each in relying if each.names_itself and each.mac == placed.nic.mac]
    return bool(giving) and len(managers) == 1


def _unplaced(places: Places, in_force: Mapping[str, str], nics: Sequence[Nic]) -> list[Finding]:
    known = ", ".join(f"{nic.id} ({nic.mac})" for nic in nics) or "none"
    return [
        Finding(
            WARNING,
            path,
            f"It relies on an interface {name}, and which of the VM's NICs that was can't be told;"
            f" the manifest has {known}.",
            "If the VM had it, name its MAC address in the guest's configuration before the export,"
            " or pass the files that it shall have on KVM as configuration.network.",
        )
        for name, path in places.unplaced
        if name in in_force
    ]


def _of_interface(interface: Interface, nics: Sequence[Nic]) -> list[Finding]:
    found = []
    if interface.found_by and interface.kind == ETHERNET and not interface.mac:
        found.append(
            Finding(
                WARNING,
                interface.path,
                f"It finds its interface by {interface.found_by}, which is another on KVM.",
                "Let it go by MAC address or by name in the guest before the export.",
            )
        )
    if interface.mac and nics and interface.mac not in {nic.mac for nic in nics}:
        found.append(
            Finding(
                WARNING,
                interface.path,
                f"It names the MAC address {interface.mac}, which is none of the VM's.",
                "Nothing, if it is left over from a machine that this one was made from.",
            )
        )
    return found


def _order(places: Places, nics: Sequence[Nic]) -> tuple[tuple[str, ...], list[Finding]]:
    """Return the order that names such as eth1 need, and what to do where it isn't the manifest's.

    The kernel gives these names, and systemd's udev renames no interface to a name that another
    one has at that moment: on KVM the NICs must be found in the same order.
    """
    kernel = sorted(
        (
            each
            for each in places.placed
            if each.name.startswith("eth") and each.name[3:].isdecimal()
        ),
        key=lambda each: int(each.name[3:]),
    )
    if not kernel:
        return (), []
    first = [each.nic for each in kernel]
    rest = [nic for nic in in_kernel_order(nics) if nic not in first]
    order = tuple(nic.id for nic in (*first, *rest))
    wanted = ", ".join(f"{each.name} is {each.nic.mac}" for each in kernel)
    findings = []
    if len({nic.adapter for nic in first} - {""}) > 1 and kernel[0].how == BY_ORDER:
        findings.append(
            Finding(
                WARNING,
                "/",
                "The guest's interfaces have the kernel's own names and its NICs were of several"
                " types, so that the names went by which driver came first. It is taken that"
                f" {wanted}, by the PCI slots.",
                "Compare that with the VM while it runs on vSphere.",
            )
        )
    if len(nics) > 1 and order != tuple(nic.id for nic in nics):
        findings.append(
            Finding(
                WARNING,
                "/",
                "The guest's interfaces have the kernel's own names, which go by the order in"
                f" which it finds the NICs, and the manifest lists them in another: {wanted}.",
                "Nothing for a domain by kvm_domain, which attaches them so; elsewhere define the NICs in"
                f" the order {', '.join(order)}.",
            )
        )
    return order, findings
