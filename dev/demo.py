# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: a guest that only boots on VMware's hardware, moved to KVM with one playbook.

Set up → guest → simulated vCenter → ansible-playbook → what there is to see.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.tests.guests import debian_bios
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Guest
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".build" / "demo"
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
STEPS = 5
# Tasks of the role that keep account of the others.
BOOKKEEPING = (
    "Validating",
    "Note",
    "Start the clock",
    "Run",
    "Begin",
    "Close",
    "Refuse",
    "Report",
    "Migrate the VM",
)


def emphasis(text: str, code: str = "1") -> str:
    """Return the text bold, or in another of the terminal's ways, where there is a terminal."""
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


class Clock:
    """The steps of the demo, with how long each took."""

    def __init__(self) -> None:
        self.times: list[tuple[str, float]] = []

    @contextmanager
    def step(self, title: str, *lines: str) -> Iterator[None]:
        """Announce a step, and note its time when it ends."""
        print(emphasis(f"\n[{len(self.times) + 1}/{STEPS}] {title}", "1;36"), flush=True)
        for line in lines:
            print(f"      {line}", flush=True)
        start = time.monotonic()
        yield
        self.times.append((title, time.monotonic() - start))
        print(f"      done in {self.times[-1][1]:.0f} s", flush=True)


def dev(*command: str) -> None:
    """Run a script of dev/, and end the demo when it fails."""
    done = subprocess.run([ROOT / "dev" / command[0], *command[1:]], check=False)
    if done.returncode:
        raise SystemExit(f"demo: dev/{' '.join(command)} failed")


def conversion_host() -> dict[str, str]:
    """Return what dev/setup remembers of the conversion host."""
    text = (ROOT / ".build/environment.d/conversion-host.sh").read_text(encoding="utf-8")
    return dict(item.split("=", 1) for item in shlex.split(text))


def expected(guest: Guest) -> list[dict[str, Any]]:
    """Return where the guest answered before, and what it said, for the inventory."""
    return [
        {
            "address": nic.address,
            "mac": nic.mac,
            "port": guest.answer_port,
            "pattern": f"^{guest.answer_line}$",
        }
        for nic in guest.nics
    ]


def write_inventory(guest: Guest, vcenter: Vcsim) -> Path:
    """Write the inventory: one host, which is the VM, and how to reach vCenter."""
    host = conversion_host()
    inventory = {
        "all": {
            "hosts": {guest.hostname: {"migrate_expect": expected(guest)}},
            "vars": {
                "migrate_vcenter_hostname": vcenter.hostname,
                "migrate_vcenter_port": vcenter.port,
                "migrate_vcenter_username": vcenter.username,
                "migrate_vcenter_ca_path": vcenter.ca_path,
                "migrate_directory": str(STATE / "migration"),
                "migrate_conversion_host": "localhost",
                "migrate_python_interpreter": host["HYPER2KVM_PYTHON"],
            },
        }
    }
    path = STATE / "inventory.json"
    path.write_text(json.dumps(inventory, indent=2) + "\n", encoding="utf-8")
    return path


def migrate(inventory: Path, vcenter: Vcsim) -> None:
    """Run the playbook of the installed collection, and tell of its tasks that do something."""
    command = ["ansible-playbook", "hypersdk.hyper2kvm.migrate", "-i", str(inventory)]
    print(f"      $ VMWARE_PASSWORD=… {' '.join(command[:-1])} {inventory.relative_to(ROOT)}\n")
    log = STATE / "ansible.log"
    with (
        log.open("w", encoding="utf-8") as full,
        subprocess.Popen(
            command,
            env={**os.environ, "VMWARE_PASSWORD": vcenter.password, "ANSIBLE_NOCOLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        start = time.monotonic()
        for line in process.stdout:
            full.write(line)
            full.flush()
            task = re.match(r"TASK \[(?:[\w.]+ : )?(.+)\]", line)
            if task and not task[1].startswith(BOOKKEEPING):
                print(f"      {time.monotonic() - start:5.0f} s  {task[1]} …", flush=True)
            elif re.match(r"\[[\w-]+\]|fatal:", line):
                print(f"               {line.rstrip()}", flush=True)
    print(
        f"      {time.monotonic() - start:5.0f} s  ansible-playbook's output is in {log.relative_to(ROOT)}"
    )
    if process.returncode:
        raise SystemExit(f"demo: the migration failed; its report is in {STATE.relative_to(ROOT)}")


def show_files(directory: Path) -> None:
    """List the VM's directory, with sizes as they are on disk."""
    print(emphasis(f"\nThe VM's directory, {directory.relative_to(ROOT)}"))
    what = {
        ".ovf": "descriptor, as vCenter wrote it",
        ".mf": "SHA-256 of each exported file",
        ".vmdk": "exported disk: the evidence, never written again",
        "artifact-manifest.json": "what was exported, how to check it, what to do",
        "migration-report.txt": "what happened",
        ".qcow2": "converted disk",
        "report.json": "hyper2kvm's report",
        "console.log": "what the guest said while it booted",
        "screenshot.png": "its screen",
        "result.json": "how it booted, and where it answered",
        ".pcap": "what passed its NIC",
    }
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        note = next((text for end, text in what.items() if path.name.endswith(end)), "")
        size = path.stat().st_blocks * 512 / 2**20
        print(f"  {size:8.1f} MiB  {path.relative_to(directory)!s:32} {emphasis(note, '2')}")


def show_manifest(directory: Path) -> dict[str, Any]:
    """Print the heart of the manifest and return it."""
    path = directory / "artifact-manifest.json"
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    print(emphasis(f"\n{path.name}"))
    shown = {key: manifest[key] for key in ("manifest_version", "vm", "disks", "pipeline")}
    shown["disks"] = [
        {
            key: value
            for key, value in disk.items()
            if key in ("id", "source_format", "bytes", "checksum", "boot_order_hint", "disk_type")
        }
        for disk in shown["disks"]
    ]
    for line in json.dumps(shown, indent=2).splitlines():
        print(f"  {line}")
    return manifest


def digest(path: Path) -> str:
    """Return a file's SHA-256 as the manifest writes it."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def show_boot(directory: Path, guest: Guest, manifest: dict[str, Any]) -> None:
    """Print the end of the guest's console and what was not touched."""
    console = directory / "out/boot-check/console.log"
    lines = console.read_text(encoding="utf-8", errors="replace").splitlines()
    print(emphasis("\nThe converted guest's serial console, on a virtio disk under QEMU"))
    for line in [re.sub(r"\x1b?\[[0-9;]*[A-Za-z]", "", line) for line in lines if line.strip()][
        -8:
    ]:
        print(f"  │ {line}")
    unchanged = all(digest(Path(d["local_path"])) == d["checksum"] for d in manifest["disks"])
    conversion = json.loads((directory / "out/conversion.json").read_text(encoding="utf-8"))
    outputs = conversion["outputs"]
    intact = all(digest(Path(output["path"])) == output["checksum"] for output in outputs)
    check = json.loads((directory / "out/boot-check/result.json").read_text(encoding="utf-8"))
    for ok, text in (
        (any(f"{guest.hostname} login:" in line for line in lines), "reached its login prompt"),
        *(
            (
                answer["answered"],
                f"{answer['address']} answers as it did under vSphere: port {answer['port']} says"
                f" {answer['read'].strip()!r}",
            )
            for answer in check["answers"]
        ),
        (bool(check["answers"]), "every static address was asked for on a network of its own"),
        (unchanged, "the exported disks have the digests of the manifest"),
        (intact, "the converted disks are what they were before the boot check"),
    ):
        print(f"  {emphasis('yes', '1;32') if ok else emphasis('NO', '1;31')}  {text}")
        if not ok:
            raise SystemExit("demo: that should not be")


def main() -> None:
    """Run the demo."""
    began = time.monotonic()
    shutil.rmtree(STATE, ignore_errors=True)
    STATE.mkdir(parents=True)
    clock = Clock()
    print(emphasis("hypersdk.hyper2kvm: a virtual machine moves from vSphere to KVM"))

    with clock.step(
        "Set up",
        "The role conversion_host makes this machine one that can convert and boot guests:",
        "hyper2kvm, libguestfs, QEMU and a sandbox. The first time takes minutes.",
    ):
        dev("setup", "conversion-host", "simulator")

    with clock.step(
        "Build the guest",
        "A real Debian that depends on VMware's hardware: /dev/sda1 in fstab and on the kernel's",
        "command line, no virtio driver in its initramfs, a static address on the interface ens192.",
        "And a data disk with known files.",
    ):
        guest = debian_bios.build()
        for disk in (guest.boot, guest.data):
            size = disk.vmdk.stat().st_size / 2**20
            print(f"      {disk.vmdk.name}: {size:.0f} MiB for {disk.capacity / 2**20:.0f} MiB")

    vm = guest.inventory_vm()
    vcenter = Vcsim({"vms": [vm]})
    with clock.step(
        "Start a test vCenter", "govmomi's simulator, which serves that VM's disks as ESXi does."
    ):
        vcenter.__enter__()
    try:
        print(f"      https://{vcenter.hostname}:{vcenter.port}, VM {vm['name']}")
        with clock.step("Migrate", "Export → manifest → verify → hyper2kvm → boot check."):
            migrate(write_inventory(guest, vcenter), vcenter)
        leases = [lease["end"] for lease in vcenter.status()["leases"]]
    finally:
        vcenter.__exit__(None, None, None)

    directory = STATE / "migration" / guest.hostname
    with clock.step("See what there is"):
        show_files(directory)
        manifest = show_manifest(directory)
        show_boot(directory, guest, manifest)
        print(f"  {emphasis('yes', '1;32')}  vCenter's export lease ended: {', '.join(leases)}")
        print(emphasis("\nThe report"))
        for line in (directory / "migration-report.txt").read_text("utf-8").splitlines():
            print(f"  {line}")

    print(emphasis("\nTime"))
    for title, seconds in clock.times:
        print(f"  {seconds:6.0f} s  {title}")
    print(f"  {time.monotonic() - began:6.0f} s  in all")
    print(f"\nAll of it stays in {STATE.relative_to(ROOT)} until the next demo.")


if __name__ == "__main__":
    main()
