# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The check that a module's parameters and a manifest describe together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..manifest.document import load
from .boot import READY_ANSWERS, Check
from .disks import converted_disks, given_disks
from .errors import BootCheckError
from .expected import expectations
from .firmware import UefiFirmware, find_uefi
from .machine import Machine, described_cpus, described_memory, described_nics, given_nics
from .recorded import attached_order, recorded_network


def firmware_of(parameters: dict[str, Any], described: dict[str, Any]) -> UefiFirmware | None:
    """Return the UEFI firmware that a machine needs, None for BIOS."""
    firmware = parameters["firmware"] or described.get("firmware", "bios")
    secure_boot = parameters["secure_boot"]
    if secure_boot is None:
        secure_boot = firmware == "uefi" and described.get("secureboot", False)
    if firmware != "uefi":
        if secure_boot:
            raise BootCheckError(
                "Secure Boot is asked for, and the machine's firmware is not UEFI.",
                action="Say firmware: uefi, or secure_boot: false.",
            )
        return None
    return find_uefi(secure_boot=secure_boot)


def plan(parameters: dict[str, Any]) -> Check:
    """Return the check that the parameters describe."""
    document: dict[str, Any] = {}
    output_directory = Path(parameters["output_dir"]) if parameters["output_dir"] else None
    if parameters["manifest"]:
        manifest_path = Path(parameters["manifest"]).resolve()
        document = load(manifest_path)
        output_directory = output_directory or manifest_path.parent / "out"
    described = document.get("vm", {})
    boot_index = 0
    if parameters["disks"]:
        disks = given_disks([Path(path) for path in parameters["disks"]])
    elif output_directory is None or not document:
        raise BootCheckError("Neither a manifest nor disks are given.", action="Give one of them.")
    else:
        disks, boot_index = converted_disks(document, output_directory)
    evidence = (
        parameters["evidence_dir"] or (output_directory or disks[0].path.parent) / "boot-check"
    )
    network = recorded_network(output_directory if document else None)
    nics = described_nics(document, network)
    nic_order = attached_order([nic.name for nic in nics], network)
    if parameters["macs"] is not None:
        nics, nic_order = given_nics(parameters["macs"]), ()
    expected = expectations(parameters["expect"], document, output_directory, nics)
    if parameters["ready"] == READY_ANSWERS and not any(wanted.required for wanted in expected):
        raise BootCheckError(
            "With ready: answers something has to answer, and no address is known.",
            action="Name one as expect.",
        )
    if expected and not nics:
        raise BootCheckError(
            "An answer is expected, and the machine has no NIC.",
            action="Give the NICs' addresses as macs, or a manifest that has nics.",
        )
    tpm = parameters["tpm"]
    return Check(
        machine=Machine(
            disks=disks,
            boot_index=boot_index,
            machine=parameters["machine"],
            disk_bus=parameters["disk_bus"],
            uefi=firmware_of(parameters, described),
            cpus=parameters["cpus"] or described_cpus(document),
            memory_mb=parameters["memory_mb"] or described_memory(document),
            nics=nics,
            nic_order=nic_order,
            tpm=bool(described.get("tpm", False)) if tpm is None else tpm,
        ),
        evidence=Path(evidence).resolve(),
        pattern=parameters["pattern"],
        ready=parameters["ready"],
        timeout=parameters["timeout"],
        expectations=expected,
        answer_timeout=parameters["answer_timeout"],
        require_answers=parameters["require_answers"],
        memory_timeout=parameters["memory_timeout"],
        isolation=parameters["isolation"],
    )
