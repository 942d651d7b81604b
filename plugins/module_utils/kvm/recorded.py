# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What hyper2kvm_convert recorded of the guest's network, for the machine that is made of its disks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .disks import RECORD_NAME


def recorded_network(output_directory: Path | None) -> Mapping[str, Any]:
    """Return guest.network of the conversion's result, empty where there is none.

    Args:
        output_directory: Where the conversion left its record, None without one.
    """
    if output_directory is None:
        return {}
    try:
        record = json.loads((output_directory / RECORD_NAME).read_text(encoding="utf-8"))
        network = record["result"]["guest"]["network"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # An older record, or a conversion that did not look.
    return network if isinstance(network, dict) else {}


def attached_order(ids: Sequence[str], network: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the places of NICs in the order in which the guest must find them.

    A guest with the kernel's own names (eth0) has them by that order. What the guest doesn't care
    about follows as it is listed.

    Args:
        ids: The NICs' ids, in the manifest's order.
        network: See recorded_network().
    """
    order = network.get("order")
    ranks = {str(name): rank for rank, name in enumerate(order if isinstance(order, list) else [])}
    return tuple(
        sorted(range(len(ids)), key=lambda place: (ranks.get(ids[place], len(ids)), place))
    )
