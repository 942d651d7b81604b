# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a machine is to answer: what the user says, else the conversion, else the manifest."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import BootCheckError
from .network.ethernet import mac_bytes
from .network.expectation import Expectation
from .network.network import NicNetwork
from .network.packets import Address, address_of
from .recorded import recorded_network

OPTION = "option"
CONVERSION = "conversion"
MANIFEST = "manifest"

_LARGEST_PORT = 65535
_LARGEST_VLAN = 4094


def expectations(
    given: Sequence[Mapping[str, Any]] | None,
    document: Mapping[str, Any],
    output_directory: Path | None,
    nics: Sequence[NicNetwork],
) -> tuple[Expectation, ...]:
    """Return where the machine is to answer.

    Args:
        given: The user's list; None asks the conversion and then the manifest.
        document: The manifest, empty without one.
        output_directory: Where the conversion left its record, None without one.
        nics: The machine's NICs.

    Raises:
        BootCheckError: The user's list names something that can't be.
    """
    if given is not None:
        return tuple(_given(entry, f"expect[{index}]", nics) for index, entry in enumerate(given))
    recorded = recorded_network(output_directory).get("expected")
    static = recorded if isinstance(recorded, list) else []
    found = [_from_conversion(entry, nics) for entry in static]
    # What the guest's files don't say is what it was leased: that is what it is leased here.
    covered = {nic for wanted in found for nic in wanted.nics}
    addresses = {wanted.address for wanted in found}
    found += [
        wanted
        for wanted in _from_manifest(document)
        if not covered.intersection(wanted.nics) and wanted.address not in addresses
    ]
    return tuple(found)


def nic_place(entry: Mapping[str, Any], nics: Sequence[NicNetwork]) -> int | None:
    """Return the place of the NIC that an entry names by its MAC address, id or place."""
    mac, name = entry.get("mac"), entry.get("nic")
    for index, nic in enumerate(nics):
        if mac and nic.mac and _same_mac(str(mac), nic.mac):
            return index
    for index, nic in enumerate(nics):
        if name is not None and str(name) in (nic.name, str(index)):
            return index
    return None


def _given(entry: Mapping[str, Any], where: str, nics: Sequence[NicNetwork]) -> Expectation:
    place = nic_place(entry, nics)
    if place is None and (entry.get("nic") or entry.get("mac")):
        named = entry.get("mac") or entry.get("nic")
        raise BootCheckError(
            f"{where} names the NIC {named}, and the machine has"
            f" {', '.join(f'{nic.name} ({nic.mac})' for nic in nics) or 'none'}."
        )
    address = _address(entry.get("address"), where)
    length = entry.get("prefix")
    if length is None and "/" in str(entry.get("address") or ""):
        length = str(entry["address"]).split("/")[1]
    if length is not None and not 0 < int(length) <= (128 if ":" in str(address) else 32):
        raise BootCheckError(f"{where}.prefix is {length}, which is no prefix length.")
    port, vlan = entry.get("port"), entry.get("vlan")
    if port is not None and not 0 < port <= _LARGEST_PORT:
        raise BootCheckError(f"{where}.port is {port}, which is no port.")
    if vlan is not None and not 0 < vlan <= _LARGEST_VLAN:
        raise BootCheckError(f"{where}.vlan is {vlan}, which is no VLAN.")
    if port is None and (entry.get("pattern") is not None or entry.get("send") is not None):
        raise BootCheckError(f"{where} says what to send or to read, and names no port.")
    if entry.get("pattern") is not None:
        try:
            re.compile(entry["pattern"])
        except re.error as error:
            raise BootCheckError(f"{where}.pattern is no regular expression: {error}.") from error
    return Expectation(
        address=address,
        nics=() if place is None else (place,),
        prefix=None if length is None else int(length),
        gateway=_address(entry.get("gateway"), f"{where}.gateway"),
        vlan=vlan,
        port=port,
        send=(entry.get("send") or "").encode(),
        pattern=entry.get("pattern"),
        timeout=entry.get("timeout"),
        source=OPTION,
    )


def _address(text: Any, where: str) -> Address | None:
    if text in (None, ""):
        return None
    try:
        return address_of(str(text))
    except ValueError as error:
        raise BootCheckError(f"{where}: {error}.") from error


def _from_conversion(entry: Mapping[str, Any], nics: Sequence[NicNetwork]) -> Expectation:
    """Return what the guest's own configuration says; a bond has several NICs there."""
    names = entry.get("nics")
    places = [nic_place({"nic": name} if names else entry, nics) for name in names or [""]]
    return Expectation(
        address=address_of(str(entry["address"])),
        nics=tuple(place for place in places if place is not None),
        prefix=entry.get("prefix"),
        gateway=_usable(entry.get("gateway") or ""),
        vlan=entry.get("tag") or None,
        source=CONVERSION,
    )


def _from_manifest(document: Mapping[str, Any]) -> list[Expectation]:
    """Return the addresses that VMware Tools saw the guest have when it was exported.

    An address of IPv6 that is not known to have been set by hand may have been a temporary one
    (RFC 8981), which never comes back: that is looked for, and need not answer.
    """
    found = []
    for index, nic in enumerate(document.get("nics", [])):
        details = {entry["address"]: entry for entry in nic.get("ip_config") or []}
        gateways = [_usable(text) for text in nic.get("gateways") or []]
        for text in nic.get("addresses") or list(details):
            address = _usable(text)
            if address is None:
                continue
            detail = details.get(text, {})
            own = (
                gateway for gateway in gateways if gateway and gateway.version == address.version
            )
            found.append(
                Expectation(
                    address=address,
                    nics=(index,),
                    prefix=detail.get("prefix"),
                    gateway=next(own, None),
                    source=MANIFEST,
                    required=address.version == 4 or detail.get("origin") == "manual",
                )
            )
    return found


def _usable(text: Any) -> Address | None:
    """Return an address that a machine can be asked at from elsewhere, None for others."""
    try:
        address = address_of(str(text))
    except ValueError:
        return None
    useless = address.is_link_local or address.is_loopback or address.is_unspecified
    return None if useless else address


def _same_mac(one: str, other: str) -> bool:
    try:
        return mac_bytes(one) == mac_bytes(other)
    except ValueError:
        return False
