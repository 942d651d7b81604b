# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/other-sources.md, run as it stands: each provider's disks get a manifest, and hyper2kvm converts them.

Paths are put into a scratch directory. FIX is left out, for which a guest would have to be on the
disks, and so is the boot check, which boots one elsewhere (test_end_to_end.py).
"""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.hypersdk.hyper2kvm.tests.support.hyper2kvm_loader import hyper2kvm_loads
from ansible_collections.hypersdk.hyper2kvm.tests.support.manifest_packages import (
    MIB,
    VMWARE_DISKS,
    make_image,
    package,
    sha256,
    verified,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.ovf_samples import VIRTUALBOX, VMWARE
from ansible_collections.hypersdk.hyper2kvm.tests.support.playbook import run_playbook

PAGE = Path(__file__).parents[2] / "docs" / "other-sources.md"
ROOT = "/srv/migrate"


def tasks_under(heading: str, root: Path) -> list[dict[str, Any]]:
    """Return the tasks that stand under a heading of the page."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    tasks: list[dict[str, Any]] = yaml.safe_load(block.replace(ROOT, str(root)))
    return tasks


def plain(directory: Path) -> list[tuple[Path, str]]:
    return [
        (make_image(directory / "system.qcow2", "qcow2"), "qcow2"),
        (make_image(directory / "data.img", "raw"), "raw"),
    ]


def virtualbox(directory: Path) -> list[tuple[Path, str]]:
    names = ("web01-disk001.vmdk", "web01-disk002.vmdk")
    source = directory / "source"
    source.mkdir()
    package(source, VIRTUALBOX, names)
    with tarfile.open(directory / "desk01.ova", "w", format=tarfile.USTAR_FORMAT) as tar:
        for name in ("web01.ovf", *names, "web01.mf"):
            tar.add(source / name, name)
    return [(source / name, "vmdk") for name in names]


def hyperexport(directory: Path) -> list[tuple[Path, str]]:
    """As hypersdk leaves it: with omitempty, Go writes no boot_order_hint of 0."""
    package(directory, VMWARE, VMWARE_DISKS)
    disks = [directory / name for name in VMWARE_DISKS]
    document = {
        "manifest_version": "1.0",
        "source": {"provider": "vsphere", "vm_id": "vm-7", "vm_name": "wiki01"},
        "disks": [
            {
                "id": f"disk-{number}",
                "source_format": "vmdk",
                "bytes": disk.stat().st_size,
                "local_path": str(disk),
                "checksum": sha256(disk),
                **({"boot_order_hint": number} if number else {}),
                "disk_type": "data" if number else "boot",
            }
            for number, disk in enumerate(disks)
        ],
        "pipeline": {"fix": {"enabled": True}, "convert": {"enabled": True}},
    }
    path = directory / "artifact-manifest.json"
    path.write_text(json.dumps(document, indent=2))
    assert hyper2kvm_loads(path)["boot"] == "disk-1"
    (finding,) = verified(path, fail_on_error=False)["findings"]
    assert finding["path"] == "disks[0].boot_order_hint" and "is missing" in finding["message"]
    return [(disk, "vmdk") for disk in disks]


def aws(directory: Path) -> list[tuple[Path, str]]:
    options = "subformat=streamOptimized"
    return [(make_image(directory / "export-ami-0abc.vmdk", "vmdk", options), "vmdk")]


def azure(directory: Path) -> list[tuple[Path, str]]:
    options = "subformat=fixed,force_size=on"
    names = ("osdisk.vhd", "datadisk.vhd")
    disks = [make_image(directory / name, "vpc", options) for name in names]
    # Azure's own form: whole MiB and a footer.
    assert {disk.stat().st_size for disk in disks} == {8 * MIB + 512}
    return [(disk, "vpc") for disk in disks]


def gcp(directory: Path) -> list[tuple[Path, str]]:
    source = directory / "source"
    source.mkdir()
    raw = make_image(source / "disk.raw", "raw")
    archive = f"--file={directory / 'mail01.tar.gz'}"
    # As Compute Engine documents it for its imports, and makes its exports.
    argv = ["tar", "--format=oldgnu", "--create", "--gzip", "--sparse", archive, "disk.raw"]
    subprocess.run(argv, cwd=source, check=True)
    return [(raw, "raw")]


@pytest.mark.parametrize(
    ("heading", "vm", "prepare", "source", "firmware"),
    [
        ("Plain disks", "app01", plain, {"provider": "local"}, "uefi"),
        (
            "An OVF or OVA of VirtualBox, VMware or oVirt",
            "desk01",
            virtualbox,
            {"provider": "local", "export_method": "ova"},
            "uefi",
        ),
        (
            "A manifest that hyperexport wrote",
            "wiki01",
            hyperexport,
            {"provider": "vsphere"},
            "uefi",
        ),
        ("Amazon EC2", "shop01", aws, {"provider": "aws", "vm_id": "i-0abcdef1234567890"}, "uefi"),
        ("Microsoft Azure", "bill01", azure, {"provider": "azure"}, "uefi"),
        ("Google Compute Engine", "mail01", gcp, {"provider": "gcp"}, "uefi"),
    ],
)
def test_the_page(
    tmp_path: Path,
    conversion_python: Path,
    heading: str,
    vm: str,
    prepare: Callable[[Path], list[tuple[Path, str]]],
    source: dict[str, str],
    firmware: str,
) -> None:
    root = tmp_path / "migrate"
    directory = root / vm
    directory.mkdir(parents=True)
    disks = prepare(directory)
    described = tasks_under(heading, root)
    manifest_task = described[-1]["hypersdk.hyper2kvm.artifact_manifest"]
    manifest_task["pipeline"] = {"fix": {"enabled": False}}
    stages = tasks_under("From the manifest to a machine that boots", root)
    assert stages.pop()["ansible.builtin.import_role"]["tasks_from"] == "boot_check"
    play = {"hosts": vm, "gather_facts": False, "tasks": [*described, *stages]}
    for task in described:
        task["delegate_to"] = "localhost"
    variables = {
        "migrate_directory": str(root),
        "migrate_python_interpreter": str(conversion_python),
    }
    outcome = run_playbook([play], tmp_path / "run", hosts=[vm], variables=variables)
    assert outcome.returncode == 0, outcome.output

    path = directory / "artifact-manifest.json"
    document = json.loads(path.read_text())
    assert source.items() <= document["source"].items()
    asked = manifest_task.get("metadata", {}).get(source["provider"])
    assert asked is None or document["metadata"][source["provider"]] == asked
    assert document["metadata"]["tags"]["provider"] == source["provider"]
    assert hyper2kvm_loads(path)["firmware"] == firmware
    assert verified(path)["findings"] == []
    for number, (disk, qemu_format) in enumerate(disks):
        compared = subprocess.run(
            [
                *["qemu-img", "compare", "-f", qemu_format, "-F", "qcow2"],
                *[str(disk), str(directory / "out" / f"disk-{number}.qcow2")],
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert compared.returncode == 0, compared.stdout
    again = run_playbook([play], tmp_path / "again", hosts=[vm], variables=variables)
    assert again.returncode == 0 and again.changed() == 0, again.output


def test_an_archive_of_compute_engine_is_not_taken_for_a_disk(tmp_path: Path) -> None:
    gcp(tmp_path)
    archive = tmp_path / "mail01.tar.gz"
    task = {"path": str(tmp_path / "m.json"), "disks": [{"path": str(archive)}]}
    play = {
        "hosts": "mail01",
        "gather_facts": False,
        "tasks": [{"hypersdk.hyper2kvm.artifact_manifest": task, "delegate_to": "localhost"}],
    }
    outcome = run_playbook([play], tmp_path / "run", hosts=["mail01"], variables={})
    assert outcome.returncode != 0
    assert f"{archive} is compressed with gzip, not a disk. Unpack it" in outcome.output
