# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pinning the NICs' old names to their MAC addresses.

Where the guest's udev reads .link files (systemd.link(5), from systemd 209 on), each NIC gets one;
on older guests it is /etc/udev/rules.d/70-persistent-net.rules. Names of the kernel's own (eth0)
can't be given: no udev since systemd 197 renames an interface to a name that another one has. They
go by the order of the NICs, which NetworkReading.order tells.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..files import GuestFiles, text_of, write_text
from ..repair import WARNING, Finding, Repair
from .interface import Nic
from .reading import Named, NetworkReading
from .udev import LINKS, RULES, Naming, Udev

PERSISTENT_RULES = f"{RULES}/70-persistent-net.rules"
_MARK = (
    "# Written by the Ansible collection hypersdk.hyper2kvm: the name that this NIC had on vSphere."
)
_KERNEL_NAME = re.compile(r"eth\d+")
# What goes into a rule or a file is a name that the kernel takes.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,14}")
# Type=ether is understood for hardware, which says no type of its own, from here on.
_KNOWS_ETHER = 245


@dataclass(frozen=True)
class Pins:
    """What pinning did.

    An initramfs whose udev names NICs has to be made anew with the paths of its repairs.
    """

    repairs: tuple[Repair, ...] = ()
    findings: tuple[Finding, ...] = ()


def pin(files: GuestFiles, reading: NetworkReading, nics: Sequence[Nic]) -> Pins:
    """Give every NIC whose old name is known that name again.

    Args:
        files: The guest, its network files as they were.
        reading: What was read before FIX.
        nics: The VM's NICs, with the MAC addresses that they have on KVM.
    """
    macs = {nic.id: nic.mac for nic in nics}
    due: list[tuple[Named, str]] = []
    findings: list[Finding] = []
    for named in reading.names:
        mac = macs.get(named.nic, named.mac)
        if _KERNEL_NAME.fullmatch(named.name) or not _NAME.fullmatch(named.name):
            continue
        if mac == named.mac and (named.itself or _names_itself(named, reading.udev)):
            continue
        due.append((named, mac))
    write = _write_links if reading.udev.reads_links else _write_rules
    repairs = write(files, due, reading.udev)
    findings += [_shadowed(each, naming) for each, naming in _in_front(due, reading.udev)]
    return Pins(tuple(repairs), tuple(findings))


def link_text(name: str, mac: str, systemd: int) -> str:
    """Return a .link file's text.

    A VLAN has its NIC's MAC address, and must not be matched: by its type, or by the driver where
    systemd doesn't know a NIC's type.
    """
    only = "Type=ether" if systemd >= _KNOWS_ETHER else "Driver=virtio_net"
    return f"{_MARK}\n[Match]\nMACAddress={mac}\n{only}\n\n[Link]\nName={name}\n"


def rule_text(name: str, mac: str) -> str:
    """Return a line for 70-persistent-net.rules; DRIVERS leaves out VLANs and bonds."""
    return (
        f'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{{address}}=="{mac}",'
        f' ATTR{{type}}=="1", NAME="{name}"'
    )


def names_a_nic(path: str) -> bool:
    """Tell whether a file of the guest gives NICs their names, also to an initramfs that has it."""
    return path == PERSISTENT_RULES or (path.startswith(f"{LINKS}/") and path.endswith(".link"))


def link_path(name: str) -> str:
    """Return the path of the .link file that pins a name."""
    return f"{LINKS}/10-hyper2kvm-{name}.link"


def _write_links(files: GuestFiles, due: Sequence[tuple[Named, str]], udev: Udev) -> list[Repair]:
    repairs = []
    for named, mac in due:
        path, text = link_path(named.name), link_text(named.name, mac, udev.systemd)
        before = text_of(files, path)
        if before != text:
            files.write(path, text.encode())
            repairs.append(Repair(_what(named, mac), path, before, text))
    return repairs


def _write_rules(files: GuestFiles, due: Sequence[tuple[Named, str]], _udev: Udev) -> list[Repair]:
    before = text_of(files, PERSISTENT_RULES)
    repairs, text = [], before
    for named, mac in due:
        line = rule_text(named.name, mac)
        if line not in text.splitlines():
            text += "" if text.endswith("\n") or not text else "\n"
            text += f"{_MARK}\n{line}\n"
            repairs.append(Repair(_what(named, mac), PERSISTENT_RULES, "", line))
    if text != before:
        write_text(files, PERSISTENT_RULES, text)
    return repairs


def _what(named: Named, mac: str) -> str:
    return f"Pinned {named.name} to {mac}, the NIC that it was on vSphere ({named.how})"


def _names_itself(named: Named, udev: Udev) -> bool:
    """Tell whether the guest's own files give a NIC its name by its MAC address alone."""
    own = (*udev.rules, *(udev.links if udev.reads_links else ()))
    return any(
        each.mac == named.mac and each.name == named.name and not each.found_by for each in own
    )


def _in_front(due: Sequence[tuple[Named, str]], udev: Udev) -> list[tuple[Named, Naming]]:
    """Return what gives a NIC another name before our file does."""
    found = []
    for named, mac in due:
        ours = link_path(named.name).rpartition("/")[2]
        for each in udev.links if udev.reads_links else ():
            if each.mac == mac and each.order < ours and each.name != named.name:
                found.append((named, each))
        for each in udev.rules:
            if each.mac == mac and each.name != named.name:
                found.append((named, each))
    return found


def _shadowed(named: Named, naming: Naming) -> Finding:
    return Finding(
        WARNING,
        naming.path,
        f"It names the NIC {named.mac} {naming.name}, while other files call it {named.name}.",
        "Let one of them be right in the guest before the export.",
    )
