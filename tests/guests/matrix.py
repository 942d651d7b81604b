# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every guest, every network configuration: before, untouched, by hyper2kvm alone, by ours.

Each run of a machine leaves one file of JSON; the tables of docs/guests.md are
made from those files and nothing else, so an empty cell is one that nobody ran.

    python -m ansible_collections.hypersdk.hyper2kvm.tests.guests.matrix \
        --results DIRECTORY [--document docs/guests.md] [--guest NAME …] [--step NAME …]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import (
    configured,
    conversions,
    debian_btrfs,
    debian_dracut,
    debian_lvm,
    debian_selinux,
    debian_uefi,
    debian_ways,
    facts,
    machine,
    tables,
)
from ansible_collections.hypersdk.hyper2kvm.tests.guests.cells import (
    ALONE,
    BEFORE,
    CONFIGURED,
    STEPS,
    UNTOUCHED,
    Cell,
    Conversion,
    load_cell,
    lost,
    now,
    save,
)
from ansible_collections.hypersdk.hyper2kvm.tests.guests.conversions import Converted
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest, Nic
from ansible_collections.hypersdk.hyper2kvm.tests.guests.machine import Machine

BUILDERS: dict[str, Callable[[], Guest]] = {
    debian_ways.WAYS: debian_ways.build_ways,
    debian_ways.MODULES_LIST: debian_ways.build_modules_list,
    debian_uefi.NAME: debian_uefi.build,
    debian_lvm.NAME: debian_lvm.build,
    debian_dracut.NAME: debian_dracut.build,
    debian_btrfs.AT: debian_btrfs.build,
    debian_btrfs.FEDORA: debian_btrfs.build_fedora,
    debian_btrfs.SUSE: debian_btrfs.build_suse,
    debian_selinux.NAME: debian_selinux.build,
}

# Seconds; emulated, on a machine that others keep busy.
_BOOT_PATIENCE = 900.0
# After its login a guest has this long until its addresses answer, whoever converted it.
_ANSWER_PATIENCE = 30.0


@dataclass(frozen=True)
class Places:
    """Where results and images go, and which hyper2kvm it is."""

    results: Path
    executable: Path
    reuse: bool

    def images(self, guest: Guest, step: str) -> Path:
        return self.results / "images" / guest.name / step


def boot(guest: Guest, step: str, way: str, converted: Converted | None, *, hardware: str) -> Cell:
    """Boot a guest once and return what was seen.

    Args:
        guest: The guest.
        step: The step that this is part of.
        way: Its network configuration, "" for its only one.
        converted: Its images after a conversion; None boots it as it was built.
        hardware: "vmware" or "virtio".
    """
    nics = [nic for nic in (guest.way(way).nics if way else guest.nics) if nic.address]
    cell = Cell(guest=guest.name, step=step, way=way, date=now())
    with machine.running(
        guest,
        hardware=hardware,
        boot_disk=Path(converted.boot) if converted else None,
        data_disk=Path(converted.data) if converted else None,
        way=way,
    ) as running:
        try:
            seen = running.wait_for(f"{guest.login_pattern}|{machine.STRANDED}", _BOOT_PATIENCE)
        except TimeoutError as error:
            return replace(cell, stopped=str(error))
        cell = replace(cell, seconds=round(seen.seconds, 1))
        if not seen.matched.endswith("login:"):
            reason = "\n".join(seen.text.splitlines()[-12:])
            return replace(cell, stopped=seen.matched, console=reason)
        with ThreadPoolExecutor(len(nics)) as asking:
            said = list(asking.map(lambda nic: _answer(running, guest, nic), nics))
        extra = configured.look(running, guest) if step == CONFIGURED else {}
        text = running.console.read_text(encoding="utf-8", errors="replace")
    told = facts.told(text)
    if way and step != CONFIGURED and told.get("way") != [way]:
        raise RuntimeError(f"{guest.name} had not {way} in force, but {told.get('way')}.")
    return replace(
        cell,
        login=True,
        answers={nic.name: answer for nic, answer in zip(nics, said)},
        data_intact=facts.data_files(told) == guest.data_files,
        facts={kind: values for kind, values in told.items() if kind != "data"},
        extra=extra,
    )


def _answer(running: Machine, guest: Guest, nic: Nic) -> str:
    """Return what is said at a NIC's address: "" unless it is this guest that says it."""
    try:
        said = running.answer(nic, _ANSWER_PATIENCE)
    except TimeoutError:
        return ""
    if nic.mac not in running.listening:
        known = said == guest.answer_line
    else:
        # In a VLAN it is the bond that replies, whose MAC address may be one of its own.
        known = bool(said) if running.vlan else said == nic.mac
    return said if known else ""


def convert(guest: Guest, step: str, places: Places) -> Converted:
    """Return a guest's conversion, made unless it is there and may be used again."""
    directory = places.images(guest, step)
    found = conversions.load(directory) if places.reuse else None
    if found and found.made:
        return found
    if step == ALONE:
        converted = conversions.alone(guest, directory, places.executable)
    elif step == CONFIGURED:
        converted = conversions.ours(
            guest, directory, places.executable, sections=configured.sections()
        )
    else:
        converted = conversions.ours(guest, directory, places.executable)
    same = converted.made and _is_same(Path(converted.data), guest.data.raw)
    result = converted.result if step != ALONE else {}
    save(
        places.results,
        Conversion(
            guest=guest.name,
            step=step,
            date=now(),
            said=converted.said,
            seconds=converted.seconds,
            data_intact=same,
            repaired=[str(each["what"]) for each in result.get("repaired", [])],
            findings=[str(each["message"]) for each in result.get("findings", [])],
        ),
    )
    return converted


def _is_same(image: Path, raw: Path) -> bool:
    command = ["qemu-img", "compare", "-q", str(image), str(raw)]
    return subprocess.run(command, check=False).returncode == 0


def run_step(guest: Guest, step: str, ways: Sequence[str], places: Places) -> bool:
    """Run one step of one guest, and tell whether it is as it must be.

    What hyper2kvm alone leaves is recorded, whatever it is.
    """
    converted = None if step in (BEFORE, UNTOUCHED) else convert(guest, step, places)
    if converted and not converted.made:
        print(f"{guest.name}: {step}: {converted.said}", flush=True)
        return step == ALONE
    if step == UNTOUCHED:
        ways = ways[:1]
    right = True
    changed = configured.named(guest) if step == CONFIGURED else guest
    for way in ways:
        began = time.monotonic()
        cell = boot(
            *(changed, step, way, converted),
            hardware="vmware" if step == BEFORE else "virtio",
        )
        save(places.results, cell)
        before = load_cell(places.results, guest.name, BEFORE, way)
        gone = lost(cell, before) if before and cell.login else []
        good = not cell.login if step == UNTOUCHED else cell.good and not gone
        right = right and (good or step == ALONE)
        name = f"{guest.name}: {step}{': ' if way else ''}{way}"
        words = ", ".join([cell.summary, *gone])
        print(f"{name}: {words} ({time.monotonic() - began:.0f} s)", flush=True)
    return right


def ways_of(guest: Guest, step: str, wanted: Sequence[str]) -> list[str]:
    """Return the network configurations that a step of a guest is run with."""
    if guest.name == debian_uefi.NAME:
        return [debian_uefi.CONFIGURED.name] if step == CONFIGURED else [""]
    names = [way.name for way in guest.ways if not wanted or way.name in wanted]
    if guest.name == debian_ways.WAYS:
        names = [name for name in names if name != debian_lvm.WAY.name]
    return names or [""]


def main() -> int:
    """Run what was asked for, and write the tables; return 0 when all is as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--results", type=Path, required=True, help="directory of the results")
    parser.add_argument("--document", type=Path, help="document whose tables are written")
    parser.add_argument("--guest", action="append", choices=BUILDERS, help="only this one")
    parser.add_argument("--step", action="append", choices=STEPS, help="only this one")
    parser.add_argument("--way", action="append", default=[], help="only this configuration")
    parser.add_argument("--reuse", action="store_true", help="boot the images of an earlier run")
    parser.add_argument("--tables-only", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    right = True
    if not arguments.tables_only:
        executable = os.environ.get("HYPER2KVM_EXECUTABLE")
        if not executable:
            parser.error("HYPER2KVM_EXECUTABLE is not set: run this by `make test-guests`.")
        # Snapshots of a machine's disks go where there is room.
        scratch = arguments.results / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        tempfile.tempdir = os.environ["TMPDIR"] = str(scratch.absolute())
        places = Places(arguments.results.absolute(), Path(executable), arguments.reuse)
        for name in arguments.guest or BUILDERS:
            guest = BUILDERS[name]()
            for step in arguments.step or STEPS:
                if step == CONFIGURED and name != debian_uefi.NAME:
                    continue
                ways = ways_of(guest, step, arguments.way)
                right = run_step(guest, step, ways, places) and right
    if arguments.document:
        tables.write(arguments.document, arguments.results)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
