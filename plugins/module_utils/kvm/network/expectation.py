# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a machine is to answer, and as whom we ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from .packets import Address

# As whom we ask when neither the address's network nor its gateway is of use (RFC 5737, 3849).
_STRANGERS = {4: "192.0.2.1", 6: "2001:db8::1"}
# How long a network's prefix is where nobody says.
_USUAL_PREFIX = {4: 24, 6: 64}


@dataclass(frozen=True)
class Expectation:
    """Where the machine is to answer.

    Attributes:
        address: The address; None for the one that the NIC gets by DHCP.
        nics: The places of the NICs where it may be, several for a bond; empty for any.
        prefix: Length of the address's network prefix.
        gateway: The gateway of that network.
        vlan: The VLAN that it is in; None for no VLAN and for those that the guest uses.
        port: A TCP port.
        send: What to say first there.
        pattern: What is to be read there, a regular expression.
        timeout: Seconds to wait once the machine is up; None takes the check's default.
        source: Who says so: option, conversion or manifest.
        required: Whether the check fails when it does not answer.
    """

    address: Address | None
    nics: tuple[int, ...] = ()
    prefix: int | None = None
    gateway: Address | None = None
    vlan: int | None = None
    port: int | None = None
    send: bytes = b""
    pattern: str | None = None
    timeout: float | None = None
    source: str = "option"
    required: bool = True


def neighbour_of(
    address: Address, prefix: int | None, gateway: Address | None, taken: Sequence[Address]
) -> Address:
    """Return whom we are when we ask for an address: its gateway, or one of the same network.

    A guest that checks the way back (rp_filter, a host's firewall) takes nothing from strangers.

    Args:
        address: The guest's address.
        prefix: Length of its network's prefix, where it is known.
        gateway: Its gateway, where it is known.
        taken: Addresses that the guest has itself.
    """
    length = _USUAL_PREFIX[address.version] if prefix is None else prefix
    network = ip_network((int(address), length), strict=False)
    if gateway is not None and gateway in network and gateway not in taken:
        return gateway
    # The network's own address and its broadcast address are nobody's.
    edges = () if network.num_addresses <= 2 else (network[0], network[-1])
    for distance in range(1, min(network.num_addresses, 256)):
        # An address that differs in the last bits only is a neighbour in a smaller network too.
        candidate = ip_address(int(address) ^ distance)
        if candidate not in edges and candidate not in taken:
            return candidate
    return gateway or ip_address(_STRANGERS[address.version])
