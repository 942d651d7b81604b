# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Linux guest: what is kept of it before FIX, and what is done with it after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .boot.examination import Guest, examine
from .boot.kernels import initramfs_digests
from .boot.mending import mend
from .boot.tools import INITRAMFS_TOOLS_MODULES, lost_modules, put_back_listed
from .files import GuestFiles, text_of
from .fstab import FSTAB
from .mounts import mistaken, mistaken_findings, put_back_devices, put_back_options
from .network.cloud_init import keep_from_writing
from .network.given import with_given
from .network.interface import nics_of
from .network.keeping import Kept, is_network_file, keep, put_back
from .network.pinning import Pins, pin
from .network.reading import NetworkReading, read_network
from .network.rebinding import rebind, rebound, with_macs
from .outcome import Outcome
from .repair import ERROR, OR_REPAIR, Finding, Repair
from .selinux import label_written

# The version of systemd.
_RENAMES_AGAIN = 240


def keep_originals(files: GuestFiles, request: dict[str, Any]) -> dict[str, Any]:
    """Return what a repair must know of the guest before FIX, as plain values."""
    return {
        "network": read_network(files, nics_of(request)).as_values(),
        "network_files": keep(files).as_values(),
        "fstab": text_of(files, FSTAB),
        "initramfs_modules": text_of(files, INITRAMFS_TOOLS_MODULES),
        "initramfs": initramfs_digests(files),
    }


def repair_linux(guest: Guest, request: dict[str, Any], lap: Callable[[str], None]) -> Outcome:
    """Put back what hyper2kvm took, repair what a boot needs, and look at the result.

    Args:
        guest: The guest; what must not be written is attached so.
        request: With "repair", "guest_network" and the "reading" of before.
        lap: Ends a part of the time that is measured.
    """
    originals = request["reading"]["originals"]
    repairs: list[Repair] = []
    findings: list[Finding] = []
    taken = mistaken(guest.files, guest.storage, guest.root_device, originals["fstab"])
    if request["repair"]:
        repairs += put_back_listed(guest.files, originals["initramfs_modules"])
        repairs += put_back_devices(guest.files, taken)
        repairs += put_back_options(guest.files, originals["fstab"])
    else:
        findings += _lost(guest.files, originals["initramfs_modules"])
        findings += mistaken_findings(taken)
    network, kept = _network(guest.files, request)
    repairs += kept.repairs
    findings += kept.findings
    lap("put back")
    examination = examine(guest)
    lap("examine")
    rebuilt: list[str] = []
    if request["repair"]:
        made, problems, examination = mend(
            guest,
            examination,
            written=[one.path for one in repairs if not _is_late_enough(one.path, network)],
            timeout=request["timeout"],
            lap=lap,
        )
        repairs += made
        findings += problems
        initramfs = {kernel.initramfs: kernel.version for kernel in examination.kernels}
        rebuilt = [initramfs[repair.path] for repair in made if repair.path in initramfs]
    if request["repair"] or request["guest_network"] == "keep":
        repairs += label_written(guest.files, [repair.path for repair in repairs])
        lap("label")
    summary = examination.summary()
    summary["fstab"] = {"before": originals["fstab"], "after": text_of(guest.files, FSTAB)}
    summary["initramfs_rebuilt"] = [
        {"version": state.version, "by": "repair" if state.version in rebuilt else "hyper2kvm"}
        for state in examination.states
        if state.digest != originals["initramfs"].get(state.initramfs, "")
    ]
    summary["network"] = {**network.summary(), "macs": dict(request.get("macs") or {})}
    findings += examination.findings()
    if request["repair"]:
        findings = [finding.after_repair() for finding in findings]
    return Outcome(summary, repairs, findings)


def _network(files: GuestFiles, request: dict[str, Any]) -> tuple[NetworkReading, Pins]:
    """Make the network what it was, with the names that the NICs had, or what the user gave."""
    originals = request["reading"]["originals"]
    network = NetworkReading.from_values(originals["network"])
    before = nics_of(request)
    nics = with_macs(before, request.get("macs") or {})
    given = [path for path in request.get("injected", ()) if is_network_file(path)]
    if request["guest_network"] == "keep":
        kept = Kept.from_values(originals["network_files"])
        repairs = put_back(files, kept, request.get("injected", ()))
        new = {old.mac: nic.mac for old, nic in zip(before, nics) if old.mac != nic.mac}
        repairs += rebind(files, kept, new, given)
        network = rebound(network, new)
        pins = pin(files, network, nics)
        repairs += (*pins.repairs, *keep_from_writing(files))
        pins = Pins(tuple(repairs), pins.findings)
    else:
        pins = Pins()
    if given:
        network = with_given(files, network, nics, given)
    return network, Pins(pins.repairs, (*network.findings, *pins.findings))


def _is_late_enough(path: str, network: NetworkReading) -> bool:
    """Tell whether a file does its work on the root, whatever the initramfs has of it.

    From 240 on, systemd's udev gives a NIC the name in a .link file also when the initramfs's udev
    has given it another one (its naming scheme's "allow re-renames").
    """
    return path.endswith(".link") and network.udev.systemd >= _RENAMES_AGAIN


def _lost(files: GuestFiles, original: str) -> list[Finding]:
    lost = lost_modules(files, original)
    if not lost:
        return []
    return [
        Finding(
            ERROR,
            INITRAMFS_TOOLS_MODULES,
            f"hyper2kvm made the entry {', '.join(lost)} part of a comment.",
            f"List it again in the guest before the export{OR_REPAIR}.",
        )
    ]
