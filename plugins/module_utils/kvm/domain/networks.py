# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which network of this host takes the place of which network of vSphere."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..recorded import attached_order
from .errors import DomainError
from .identity import NEW, derived_mac, nic_id

#: The entry of a map that stands for every network without one of its own.
ANY = "*"

_KINDS = ("network", "bridge", "user")
_LINKS = ("up", "down")
_MAC = re.compile(r"\A(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\Z")


@dataclass(frozen=True)
class Attachment:
    """Where a NIC is plugged in.

    Attributes:
        kind: network (of libvirt), bridge (of the host), or user (QEMU's own, for trials).
        name: Name of the network or bridge, empty for user.
        link: up, or down for a cable that is not plugged in yet.
    """

    kind: str
    name: str = ""
    link: str = "up"


@dataclass(frozen=True)
class Nic:
    """A NIC of the domain.

    Attributes:
        id: Its id in the manifest.
        source_network: The network that it was on in vSphere.
        source_mac: The MAC address that it had there, empty when the manifest names none.
        mac: The MAC address that it has now.
        attachment: Where it is plugged in.
    """

    id: str
    source_network: str
    source_mac: str
    mac: str
    attachment: Attachment


def mapped_nics(
    document: Mapping[str, Any],
    network_map: Mapping[str, Any],
    *,
    mac_policy: str,
    uuid: str,
    converted: Mapping[str, Any],
) -> tuple[Nic, ...]:
    """Return the domain's NICs in the order in which they are to be attached.

    Args:
        document: The manifest.
        network_map: vSphere's names of networks, each with the name of a network of
            libvirt or an object with one of network, bridge and user, and link.
        mac_policy: keep, or new.
        uuid: The domain's; new addresses are derived from it, so that they stay the same.
        converted: What the conversion recorded of the guest's network: the order in which it must
            find its NICs, and the new addresses that it was bound to.

    Raises:
        DomainError: A network is not mapped, an entry of the map makes no sense, or the conversion
            was made for other MAC addresses.
    """
    attachments = {name: _attachment(name, value) for name, value in network_map.items()}
    entries: Sequence[Mapping[str, Any]] = document.get("nics", [])
    networks = [str(entry.get("network") or "") for entry in entries]
    unmapped = sorted({name for name in networks if name not in attachments})
    if unmapped and ANY not in attachments:
        raise DomainError(
            f"The VM has a NIC on {_listed(unmapped)}, which no entry of the network map names.",
            action="Add an entry for each, with the network of libvirt or the bridge that takes its place.",
            unmapped_networks=unmapped,
        )
    ids = [nic_id(entry, index) for index, entry in enumerate(entries)]
    nics = []
    for index in attached_order(ids, converted):
        source_mac = str(entries[index].get("mac") or "").lower()
        bound = (converted.get("macs") or {}).get(ids[index], "")
        nics.append(
            Nic(
                id=ids[index],
                source_network=networks[index],
                source_mac=source_mac,
                mac=_mac(
                    index, source_mac, mac_policy, bound or derived_mac(uuid, ids[index]), bound
                ),
                attachment=attachments.get(networks[index]) or attachments[ANY],
            )
        )
    return tuple(nics)


def bound_names(converted: Mapping[str, Any]) -> list[str]:
    """Return the interfaces of a guest that its conversion bound to the MAC addresses that it had."""
    names = converted.get("names")
    if converted.get("macs") or not isinstance(names, list):
        return []
    return [str(entry["name"]) for entry in names]


def _mac(index: int, source_mac: str, policy: str, new: str, bound: str) -> str:
    if policy == NEW or not source_mac:
        return new
    if bound:
        raise DomainError(
            f"The conversion bound the guest's network to new MAC addresses ({bound} for nics[{index}]),"
            " and the domain is to keep the old ones.",
            action="Give mac_policy: new, or convert the VM anew with mac_policy: keep.",
        )
    if not _MAC.match(source_mac):
        raise DomainError(
            f"The manifest's nics[{index}].mac, {source_mac!r}, is no MAC address.",
            action="Write the manifest anew with artifact_manifest.",
        )
    return source_mac


def _attachment(network: str, value: Any) -> Attachment:
    where = f"The network map's entry for {network!r}"
    if isinstance(value, str):
        value = {"network": value}
    if not isinstance(value, Mapping):
        raise DomainError(
            f"{where} is neither the name of a network nor an object.",
            action='Write {"network": "NAME"} or {"bridge": "NAME"}.',
        )
    unknown = sorted(set(value) - {*_KINDS, "link"})
    given = [kind for kind in _KINDS if value.get(kind)]
    if unknown or len(given) != 1:
        raise DomainError(
            f"{where} has to name one of {', '.join(_KINDS)}, and beside it at most link;"
            f" it has {_listed(sorted(value)) or 'nothing'}."
        )
    link = str(value.get("link") or "up")
    if link not in _LINKS:
        raise DomainError(f"{where} says link {link!r}, which is neither up nor down.")
    kind = given[0]
    return Attachment(kind=kind, name="" if kind == "user" else str(value[kind]), link=link)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
