# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of the manifest that a JSON Schema can't say.

They hold for the document alone; what concerns the files is in verifying.py.
A document may break its schema at the same time, so nothing here relies on a
type that it has not looked at.
"""

from __future__ import annotations

from typing import Any

from .findings import ERROR, WARNING, Finding, shown


def check_rules(document: dict[str, Any]) -> list[Finding]:
    """Return what breaks a rule in a parsed manifest."""
    raw = document.get("disks")
    disks = [
        (index, disk)
        for index, disk in enumerate(raw if isinstance(raw, list) else [])
        if isinstance(disk, dict)
    ]
    return [
        *_unique(
            disks,
            "id",
            "hyper2kvm names the converted image after it",
            "Give every disk an id of its own.",
        ),
        *_unique(disks, "local_path", "one file can't be two disks", "Name the file of each disk."),
        *_boot_disk(disks),
        *_macs(document.get("nics")),
        *_guest(document.get("configuration")),
        *_run(document),
    ]


def _unique(
    disks: list[tuple[int, dict[str, Any]]], field: str, reason: str, action: str
) -> list[Finding]:
    first: dict[str, int] = {}
    findings = []
    for index, disk in disks:
        value = disk.get(field)
        if not isinstance(value, str):
            continue
        if value in first:
            findings.append(
                Finding(
                    ERROR,
                    f"disks[{index}].{field}",
                    f"disks[{index}].{field} is {shown(value)}, the same as that of disks[{first[value]}]: {reason}.",
                    action,
                )
            )
        else:
            first[value] = index
    return findings


def _boot_disk(disks: list[tuple[int, dict[str, Any]]]) -> list[Finding]:
    """hyper2kvm fixes the disk with the lowest hint, and looks at disk_type nowhere."""
    hinted = [
        (disk["boot_order_hint"], index, disk)
        for index, disk in disks
        if isinstance(disk.get("boot_order_hint"), int)
    ]
    if len(hinted) < 2:
        return []
    lowest = min(hint for hint, _index, _disk in hinted)
    chosen = [(index, disk) for hint, index, disk in hinted if hint == lowest]
    if len(chosen) > 1:
        names = " and ".join(f"disks[{index}]" for index, _disk in chosen)
        return [
            Finding(
                ERROR,
                f"disks[{chosen[1][0]}].boot_order_hint",
                f"{names} have the same lowest boot_order_hint, {lowest}: which of them boots is not said.",
                "Give the disk that boots the lowest number, and only that one.",
            )
        ]
    index, _disk = chosen[0]
    boots = [other for other, candidate in disks if candidate.get("disk_type") == "boot"]
    if boots and index not in boots:
        return [
            Finding(
                ERROR,
                f"disks[{boots[0]}].disk_type",
                f"disks[{boots[0]}].disk_type is 'boot', but disks[{index}] has the lowest boot_order_hint, {lowest}: "
                "hyper2kvm would fix the wrong disk.",
                "Give the disk that boots the lowest boot_order_hint.",
            )
        ]
    return []


def _macs(nics: Any) -> list[Finding]:
    findings = []
    first: dict[str, int] = {}
    for index, nic in enumerate(nics if isinstance(nics, list) else []):
        mac = nic.get("mac") if isinstance(nic, dict) else None
        if not isinstance(mac, str):
            continue
        key = mac.lower().replace("-", ":")
        if key in first:
            findings.append(
                Finding(
                    WARNING,
                    f"nics[{index}].mac",
                    f"nics[{index}].mac is {mac}, the same as that of nics[{first[key]}].",
                    "Give every NIC its own MAC address, unless the guest bonds them.",
                )
            )
        first.setdefault(key, index)
    return findings


def _guest(configuration: Any) -> list[Finding]:
    if not isinstance(configuration, dict):
        return []
    findings = []
    name = configuration.get("hostname")
    if isinstance(name, dict):
        hosts = name.get("hosts")
        if isinstance(hosts, dict) and hosts and name.get("hostname") and next(iter(hosts)) != "#":
            findings.append(
                Finding(
                    ERROR,
                    "configuration.hostname.hosts",
                    "configuration.hostname.hosts stands beside hostname: hyper2kvm 0.2.1 takes the newline at the "
                    "end of "
                    "/etc/hosts away when it writes the name, and glues the first line of hosts to the last one there.",
                    "Put a first entry '#' with any text in hosts, as artifact_manifest does.",
                )
            )
        if name.get("domain") and not name.get("hostname"):
            findings.append(
                _unheeded(
                    "configuration.hostname.domain", "without configuration.hostname.hostname"
                )
            )
    network = configuration.get("network")
    if (
        isinstance(network, dict)
        and not network.get("network_files")
        and not network.get("nm_connections")
    ):
        findings += [
            _unheeded(f"configuration.network.{key}", "without network_files or nm_connections")
            for key in ("enable_networkd", "enable_network_manager")
            if network.get(key)
        ]
    return findings


def _unheeded(path: str, when: str) -> Finding:
    return Finding(
        ERROR,
        path,
        f"{path} does nothing {when}: hyper2kvm 0.2.1 skips it silently.",
        "Add what it needs, or remove it.",
    )


def _run(document: dict[str, Any]) -> list[Finding]:
    """What hyper2kvm accepts and then doesn't do: no reason to stop, but to know."""
    findings = []
    pipeline = document.get("pipeline")
    convert = pipeline.get("convert") if isinstance(pipeline, dict) else None
    if isinstance(convert, dict) and "compress_level" in convert:
        findings.append(
            Finding(
                WARNING,
                "pipeline.convert.compress_level",
                "pipeline.convert.compress_level doesn't count: hyper2kvm 0.2.1 hands it to qemu-img, which "
                "refuses it, and compresses without a level after three failed tries.",
                "Remove it.",
            )
        )
    output = document.get("output")
    if isinstance(output, dict) and "filename" in output:
        findings.append(
            Finding(
                WARNING,
                "output.filename",
                "output.filename is not read by hyper2kvm 0.2.1: it calls its images <disk id>.<format>.",
                "Remove it, or rename the image afterwards.",
            )
        )
    libvirt = document.get("libvirt_integration")
    if isinstance(libvirt, dict) and libvirt.get("enabled") is True:
        findings.append(
            Finding(
                WARNING,
                "libvirt_integration.enabled",
                "libvirt_integration.enabled does nothing: hyper2kvm 0.2.1 needs a domain.xml in output.directory that "
                "it doesn't write, and hyper2kvm_convert leaves the section out.",
                "Define the domain with kvm_domain, or with migrate_define of the role migrate.",
            )
        )
    return findings
