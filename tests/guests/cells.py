# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of one run: what a machine did, or what a conversion said. One file each."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Union

# As ESXi shows the guest; on virtio as it comes; after hyper2kvm; after hyper2kvm_convert;
# after hyper2kvm_convert with guest configuration in the manifest.
BEFORE, UNTOUCHED, ALONE, OURS, CONFIGURED = STEPS = (
    *("before", "untouched", "alone", "ours", "configured"),
)


@dataclass(frozen=True)
class Cell:
    """One boot of one guest.

    Attributes:
        guest: The guest's name.
        step: Which of STEPS.
        way: The network configuration in force, "" for a guest's only one.
        date: When, in UTC.
        login: Whether it reached its login.
        seconds: Until then, or until it stopped.
        stopped: What it showed instead.
        console: The console's last lines, when it stopped.
        answers: What was said at each NIC's address; "" for nothing.
        data_intact: Whether the data disk was mounted with every file as it was.
        facts: What the guest told about itself.
        extra: What else was looked at.
    """

    guest: str
    step: str
    way: str
    date: str
    login: bool = False
    seconds: float = 0.0
    stopped: str = ""
    console: str = ""
    answers: dict[str, str] = field(default_factory=dict)
    data_intact: bool = False
    facts: dict[str, list[str]] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)
    revision: str = field(default_factory=lambda: os.environ.get("HYPER2KVM_REVISION", ""))

    @property
    def file_name(self) -> str:
        return f"{self.guest}.{self.step}{'.' if self.way else ''}{self.way}.json"

    @property
    def good(self) -> bool:
        """Whether it booted, answers everywhere and has its data."""
        return self.login and all(self.answers.values()) and self.data_intact and self.looks_right

    @property
    def looks_right(self) -> bool:
        """Whether nothing else that was looked at is missing."""
        return all(self.extra.values())

    @property
    def silent(self) -> list[str]:
        """The NICs at whose addresses nothing answers."""
        return [name for name, said in self.answers.items() if not said]

    @property
    def summary(self) -> str:
        """What happened, in a few words."""
        if not self.login:
            return f"stops at {self.stopped.splitlines()[0]}" if self.stopped else "does not boot"
        words = [f"boots in {self.seconds:.0f} s"]
        if self.silent:
            words.append(f"no answer at {', '.join(self.silent)}")
        else:
            words.append("answers")
        if not self.data_intact:
            words.append("data not as it was")
        words += [f"no {name}" for name, found in self.extra.items() if not found]
        return ", ".join(words)


@dataclass(frozen=True)
class Conversion:
    """One conversion's word.

    Attributes:
        guest: The guest's name.
        step: Which of STEPS.
        date: When it ended, in UTC.
        said: "success", or what it said instead.
        seconds: How long it took.
        data_intact: Whether the data disk's image has the same content as before.
        repaired: What hyper2kvm_convert says that it repaired.
        findings: What it says that is left.
    """

    guest: str
    step: str
    date: str
    said: str
    seconds: float
    data_intact: bool
    repaired: list[str]
    findings: list[str]
    revision: str = field(default_factory=lambda: os.environ.get("HYPER2KVM_REVISION", ""))

    @property
    def file_name(self) -> str:
        return f"{self.guest}.{self.step}.conversion.json"


def lost(cell: Cell, before: Cell) -> list[str]:
    """Return what a guest told about itself as on ESXi and tells no longer, a phrase each."""
    then, told = before.facts, cell.facts
    failing = [unit for unit in told.get("failed", []) if unit not in then.get("failed", [])]
    words = [f"{unit} fails" for unit in failing]
    if then.get("enforce") != told.get("enforce"):
        words.append("SELinux does not enforce")
    labels = told.get("label", [])
    gone = [line for line in then.get("label", []) if line not in labels]
    words += [f"label of {line.split()[0]} lost" for line in gone]
    return words


def now() -> str:
    """Return the time, in UTC, to the minute."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M")


def save(results: Path, record: Union[Cell, Conversion]) -> None:
    """Write a record into the directory of the results, in the place of an earlier one."""
    results.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(record), indent=2, sort_keys=True) + "\n"
    (results / record.file_name).write_text(text, encoding="utf-8")


def load_cell(results: Path, guest: str, step: str, way: str = "") -> Cell | None:
    """Return the record of a boot, None when there was none."""
    name = Cell(guest=guest, step=step, way=way, date="").file_name
    try:
        return Cell(**json.loads((results / name).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def load_conversion(results: Path, guest: str, step: str) -> Conversion | None:
    """Return the record of a conversion, None when there was none."""
    try:
        text = (results / f"{guest}.{step}.conversion.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return Conversion(**json.loads(text))
