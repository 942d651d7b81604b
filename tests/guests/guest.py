# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a built guest is: its disks, and what whoever moves it can check afterwards."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCUMENT = "guest.json"


@dataclass(frozen=True)
class Disk:
    """One disk: the file that ESXi would serve, and the same as a raw image.

    The raw image is the reference that decoded copies are compared with. Treat
    both as read-only: they lie in the cache.
    """

    vmdk: Path
    raw: Path
    capacity: int  # bytes
    form: str


@dataclass(frozen=True)
class Nic:
    """A NIC with a static address, as the guest configures it."""

    name: str
    mac: str
    pci_slot: int  # what makes udev choose that name
    address: str
    network: str


@dataclass(frozen=True)
class Way:
    """One of the network configurations that a guest holds.

    Which of them is in force is said at boot, by the firmware's tables. With a
    vlan the addresses are reached through tagged frames only.
    """

    name: str
    title: str
    nics: tuple[Nic, ...]
    vlan: int = 0


@dataclass(frozen=True)
class Guest:
    """A guest in the cache.

    login_pattern matches the serial console when the guest is up. Each of nics
    listens on answer_port and says answer_line to whoever connects.
    data_files maps paths below data_mount to SHA-256 digests. controller is
    what the boot disk hangs on: "pvscsi" or "sata". A guest with ways has the
    addresses of nics only when no way is named at its boot.
    """

    name: str
    hostname: str
    directory: Path
    firmware: str
    guest_id: str
    guest_full_name: str
    cpu: int
    memory_mb: int
    boot: Disk
    data: Disk
    nics: tuple[Nic, ...]
    login_pattern: str
    answer_port: int
    answer_line: str
    data_mount: str
    data_files: dict[str, str]
    controller: str = "pvscsi"
    ways: tuple[Way, ...] = ()

    def way(self, name: str) -> Way:
        """Return a way by its name."""
        (found,) = (way for way in self.ways if way.name == name)
        return found

    @property
    def boot_disk(self) -> Path:
        return self.boot.vmdk

    @property
    def data_disk(self) -> Path:
        return self.data.vmdk

    def document(self) -> dict[str, Any]:
        """Return the content of guest.json, its paths relative to the directory."""
        return {
            "name": self.name,
            "hostname": self.hostname,
            "firmware": self.firmware,
            "guest_id": self.guest_id,
            "guest_full_name": self.guest_full_name,
            "cpu": self.cpu,
            "memory_mb": self.memory_mb,
            "boot_disk": self.boot.vmdk.name,
            "data_disk": self.data.vmdk.name,
            "raw": {"boot": self.boot.raw.name, "data": self.data.raw.name},
            "form": {"boot": self.boot.form, "data": self.data.form},
            "capacity": {"boot": self.boot.capacity, "data": self.data.capacity},
            "nics": [vars(nic) for nic in self.nics],
            "login_pattern": self.login_pattern,
            "answer_port": self.answer_port,
            "answer_line": self.answer_line,
            "data_mount": self.data_mount,
            "data_files": self.data_files,
            "controller": self.controller,
            "ways": [{**vars(way), "nics": [vars(nic) for nic in way.nics]} for way in self.ways],
        }

    def inventory_vm(self) -> dict[str, Any]:
        """Return this guest as a VM of the simulator's inventory."""
        disks = [(self.boot, "Hard disk 1"), (self.data, "Hard disk 2")]
        return {
            "name": self.hostname,
            "guest_id": self.guest_id,
            "guest_full_name": self.guest_full_name,
            "firmware": self.firmware,
            "cpu": self.cpu,
            "memory_mb": self.memory_mb,
            "power_state": "poweredOff",
            "disks": [
                {"path": str(disk.vmdk), "capacity": disk.capacity, "label": label}
                for disk, label in disks
            ],
            "nics": [
                {
                    "mac": nic.mac,
                    "network": "VM Network",
                    "adapter": "vmxnet3",
                    "pci_slot": nic.pci_slot,
                }
                for nic in self.nics
            ],
        }


def save(guest: Guest) -> None:
    """Write guest.json into the guest's directory."""
    text = json.dumps(guest.document(), indent=2, sort_keys=True) + "\n"
    (guest.directory / DOCUMENT).write_text(text, encoding="utf-8")


def load(directory: Path) -> Guest:
    """Read a guest from its directory."""
    document = json.loads((directory / DOCUMENT).read_text(encoding="utf-8"))

    def disk(role: str) -> Disk:
        return Disk(
            vmdk=directory / document[f"{role}_disk"],
            raw=directory / document["raw"][role],
            capacity=document["capacity"][role],
            form=document["form"][role],
        )

    plain = (
        *("name", "hostname", "firmware", "guest_id", "guest_full_name", "cpu", "memory_mb"),
        *("login_pattern", "answer_port", "answer_line", "data_mount", "data_files"),
        "controller",
    )
    return Guest(
        directory=directory,
        boot=disk("boot"),
        data=disk("data"),
        nics=tuple(Nic(**nic) for nic in document["nics"]),
        ways=tuple(
            Way(**{**way, "nics": tuple(Nic(**nic) for nic in way["nics"])})
            for way in document["ways"]
        ),
        **{name: document[name] for name in plain},
    )
