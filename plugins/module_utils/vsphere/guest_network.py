# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network that a guest was seen to have, as VMware Tools report it.

They report while the guest runs only, and it is off when it is exported: what they said before is
kept, because it is what the VM must answer at again once it runs on KVM.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

# A default route's network, of either family.
_ANYWHERE = ("0.0.0.0", "::")  # noqa: S104 - nothing listens here


@dataclass(frozen=True)
class IpConfig:
    """An address of a NIC, with the bits of its network's prefix."""

    address: str
    prefix: int
    origin: str
    """How the guest came by it, as vSphere says it: manual, dhcp, linklayer, random, other, or ""."""


@dataclass(frozen=True)
class GuestNetwork:
    """What the guest has on one NIC.

    Attributes:
        addresses: Its IP addresses.
        ip_config: The same with prefixes, where Tools are new enough to tell.
        gateways: Addresses of the routers that its default routes lead to.
        dns_servers: Addresses of the name servers that it asks.
        dns_search: Domains that it looks names up in.
    """

    addresses: tuple[str, ...] = ()
    ip_config: tuple[IpConfig, ...] = ()
    gateways: tuple[str, ...] = ()
    dns_servers: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as a module returns it, and a record keeps it."""
        values: dict[str, Any] = {field.name: list(getattr(self, field.name)) for field in _FIELDS}
        values["ip_config"] = [dict(vars(config)) for config in self.ip_config]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GuestNetwork:
        """Return what as_dict() made a dictionary of.

        Raises:
            KeyError, TypeError: It is none of as_dict()'s.
        """
        known = {field.name: tuple(values[field.name]) for field in _FIELDS}
        known["ip_config"] = tuple(IpConfig(**config) for config in values["ip_config"])
        return cls(**known)


_FIELDS = fields(GuestNetwork)


def guest_networks(nics: Iterable[Any], stacks: Iterable[Any]) -> dict[str, GuestNetwork]:
    """Return what the guest has on each NIC, by the NIC's MAC address in lowercase.

    Args:
        nics: guest.net, vim.vm.GuestInfo.NicInfo each.
        stacks: guest.ipStack, vim.vm.GuestInfo.StackInfo each; a gateway's device is there the
            place of its NIC in guest.net.
    """
    listed = list(nics)
    shared = list(stacks)
    gateways = [_gateways(shared, place) for place in range(len(listed))]
    return {
        (nic.macAddress or "").lower(): _network(nic, shared, gateways[place])
        for place, nic in enumerate(listed)
    }


def _network(nic: Any, stacks: list[Any], gateways: tuple[str, ...]) -> GuestNetwork:
    # Windows has name servers for each NIC, Linux those of the whole stack.
    resolvers = [found for found in [nic.dnsConfig] if found is not None and found.ipAddress]
    resolvers = resolvers or [stack.dnsConfig for stack in stacks if stack.dnsConfig is not None]
    config = nic.ipConfig.ipAddress if nic.ipConfig is not None else ()
    return GuestNetwork(
        addresses=tuple(nic.ipAddress or ()),
        ip_config=tuple(
            IpConfig(each.ipAddress, each.prefixLength, each.origin or "") for each in config or ()
        ),
        gateways=gateways,
        dns_servers=_once(address for each in resolvers for address in each.ipAddress or ()),
        dns_search=_once(
            domain
            for each in resolvers
            for domain in [*(each.searchDomain or ()), each.domainName]
            if domain
        ),
    )


def _gateways(stacks: list[Any], place: int) -> tuple[str, ...]:
    return _once(
        route.gateway.ipAddress
        for stack in stacks
        if stack.ipRouteConfig is not None
        for route in stack.ipRouteConfig.ipRoute or ()
        if route.network in _ANYWHERE
        and route.prefixLength == 0
        and route.gateway.ipAddress
        and route.gateway.device == str(place)
    )


def _once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
