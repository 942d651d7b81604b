# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a migrated machine is known by: its UUID, and MAC addresses that follow from that."""

from __future__ import annotations

import hashlib
import uuid as uuids
from collections.abc import Mapping
from typing import Any

from .errors import DomainError

KEEP = "keep"
NEW = "new"
MAC_POLICIES = (KEEP, NEW)

#: Names this collection within RFC 9562's name-based UUIDs.
_UUID_SPACE = uuids.uuid5(uuids.NAMESPACE_URL, "https://github.com/hypersdk/ansible-hyper2kvm")
# The prefix that QEMU and libvirt give to their machines' NICs.
_QEMU_PREFIX = "52:54:00"


def machine_uuid(document: Mapping[str, Any], given: str, name: str) -> str:
    """Return the UUID that is given, else the VM's BIOS UUID, else one made of what names the VM.

    Args:
        document: The manifest.
        given: The user's, "" for none.
        name: The domain's name.

    Raises:
        DomainError: What is given is no UUID.
    """
    source: Mapping[str, Any] = document.get("source", {})
    provider = str(source.get("provider") or "")
    facts = document.get("metadata", {}).get(provider)
    bios = facts.get("uuid") if isinstance(facts, Mapping) else None
    if given or bios:
        try:
            return str(uuids.UUID(str(given or bios)))
        except ValueError:
            if given:
                raise DomainError(f"The UUID {given!r} is none.") from None
    return str(uuids.uuid5(_UUID_SPACE, f"{provider} {source.get('vm_id') or ''} {name}"))


def nic_id(entry: Mapping[str, Any], index: int) -> str:
    """Return the id of a manifest's NIC."""
    return str(entry.get("id") or f"nic-{index}")


def derived_mac(uuid: str, nic: str) -> str:
    """Return a MAC address in QEMU's own range, the same for the same machine and NIC."""
    tail = hashlib.sha256(f"{uuid} {nic}".encode()).digest()[:3]
    return ":".join((_QEMU_PREFIX, *(f"{byte:02x}" for byte in tail)))


def new_macs(document: Mapping[str, Any], uuid: str) -> dict[str, str]:
    """Return a new MAC address for each NIC of a manifest, by the NIC's id."""
    ids = [nic_id(entry, index) for index, entry in enumerate(document.get("nics") or [])]
    return {nic: derived_mac(uuid, nic) for nic in ids}
