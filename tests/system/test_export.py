# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""vsphere_ovf_export against the test vCenter: what it makes, and that it tells the truth."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ET
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support.connect_proxy import ConnectProxy
from ansible_collections.hypersdk.hyper2kvm.tests.support.exporting import (
    export,
    lease_ends,
    names_in,
    sha256,
    source_digests,
    warnings_of,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim

FILES = [
    "export.json",
    "small01-disk1.vmdk",
    "small01-disk2.vmdk",
    "small01.mf",
    "small01.ovf",
]
OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"


def test_exports_every_byte(
    small_vcenter: Vcsim, small_inventory: dict[str, Any], tmp_path: Path
) -> None:
    dest = tmp_path / "vms" / "small01"
    result = export(small_vcenter, dest)
    assert result["changed"] is True, result
    assert names_in(dest) == FILES
    assert [sha256(Path(disk["path"])) for disk in result["disks"]] == source_digests(
        small_inventory
    )
    assert {file["path"]: file["checksum"] for file in result["files"]} == {
        str(dest / name): sha256(dest / name) for name in FILES[1:]
    }
    assert result["bytes_transferred"] == sum(disk["size"] for disk in result["disks"])
    assert result["vm"]["firmware"] == "bios"
    assert result["vm"]["nics"][0]["pci_slot"] == 192
    assert lease_ends(small_vcenter) == ["completed"]


def test_descriptor_and_digests_agree_with_the_files(small_vcenter: Vcsim, tmp_path: Path) -> None:
    result = export(small_vcenter, tmp_path)
    root = ET.parse(result["ovf_path"]).getroot()
    sizes = {
        file.get(f"{OVF}href"): int(file.get(f"{OVF}size", "0")) for file in root.iter(f"{OVF}File")
    }
    assert sizes == {Path(disk["path"]).name: disk["size"] for disk in result["disks"]}
    listed = Path(result["mf_path"]).read_text().splitlines()
    assert len(listed) == 3
    for line in listed:
        match = re.fullmatch(r"SHA256\((.+)\)= ([0-9a-f]{64})", line)
        assert match and sha256(tmp_path / match[1]) == f"sha256:{match[2]}"


def test_a_second_run_changes_nothing(small_vcenter: Vcsim, tmp_path: Path) -> None:
    first = export(small_vcenter, tmp_path)
    second = export(small_vcenter, tmp_path)
    assert second["changed"] is False
    assert {key: second[key] for key in ("files", "disks", "vm", "duration")} == {
        key: first[key] for key in ("files", "disks", "vm", "duration")
    }
    assert lease_ends(small_vcenter) == ["completed"]


def test_a_changed_vm_is_exported_anew(small_vcenter: Vcsim, tmp_path: Path) -> None:
    export(small_vcenter, tmp_path)
    small_vcenter.touch("small01")
    assert export(small_vcenter, tmp_path)["changed"] is True
    assert lease_ends(small_vcenter) == ["completed", "completed"]


def test_what_vsphere_cannot_tell_apart_is_exported_anew(
    small_inventory: dict[str, Any], tmp_path: Path
) -> None:
    inventory = deepcopy(small_inventory)
    for machine in inventory["vms"]:
        for disk in machine["disks"]:
            disk["no_content_id"] = True
    with Vcsim(inventory) as vcenter:
        first = export(vcenter, tmp_path)
        again = export(vcenter, tmp_path)
    assert again["changed"] is True
    assert again["bytes_transferred"] == first["bytes_transferred"] > 0


def test_check_mode_asks_for_no_lease(small_vcenter: Vcsim, tmp_path: Path) -> None:
    dest = tmp_path / "small01"
    planned = export(small_vcenter, dest, check=True, diff=True)
    assert planned["changed"] is True
    assert not dest.exists()
    assert small_vcenter.status()["leases"] == []
    made = export(small_vcenter, dest)
    assert planned["ovf_path"] == made["ovf_path"]
    assert [disk["path"] for disk in planned["disks"]] == [disk["path"] for disk in made["disks"]]
    assert planned["diff"]["after"].splitlines() == sorted(file["path"] for file in made["files"])
    assert export(small_vcenter, dest, check=True)["changed"] is False


@pytest.mark.parametrize("algorithm", ["sha1", "sha512"])
def test_other_digests(small_vcenter: Vcsim, tmp_path: Path, algorithm: str) -> None:
    result = export(small_vcenter, tmp_path, checksum_algorithm=algorithm)
    assert result["disks"][0]["checksum"].startswith(f"{algorithm}:")
    subprocess.run(
        [f"{algorithm}sum", "--check", "--strict"],
        input=re.sub(
            rf"{algorithm.upper()}\((.+)\)= (\w+)",
            r"\2  \1",
            Path(result["mf_path"]).read_text(),
        ),
        cwd=tmp_path,
        text=True,
        check=True,
        timeout=60,
    )


def test_working_copies_hold_the_disks(small_vcenter: Vcsim, tmp_path: Path) -> None:
    result = export(small_vcenter, tmp_path, working_copies=True)
    for disk in result["disks"]:
        assert Path(disk["working_copy"]).stat().st_size == disk["capacity"]
        subprocess.run(
            ["qemu-img", "compare", "-f", "raw", "-F", "vmdk", disk["working_copy"], disk["path"]],
            check=True,
            timeout=120,
        )


def test_verify_fetches_anew_what_has_changed(
    small_vcenter: Vcsim, small_inventory: dict[str, Any], tmp_path: Path
) -> None:
    result = export(small_vcenter, tmp_path)
    assert export(small_vcenter, tmp_path, verify=True)["changed"] is False
    disk = Path(result["disks"][1]["path"])
    data = bytearray(disk.read_bytes())
    data[1000] ^= 1
    disk.write_bytes(data)
    assert export(small_vcenter, tmp_path)["changed"] is False
    again = export(small_vcenter, tmp_path, verify=True)
    assert again["changed"] is True
    assert "small01-disk2.vmdk" in warnings_of(again)[0]
    assert sha256(disk) == source_digests(small_inventory)[1]
    # The first disk was sound and is kept.
    assert again["bytes_transferred"] == again["disks"][1]["size"]


@pytest.mark.parametrize("by", ["uuid", "instance_uuid", "moid"])
def test_selects_by_identifier(small_vcenter: Vcsim, tmp_path: Path, by: str) -> None:
    vm = export(small_vcenter, tmp_path / "first", check=True)["vm"]
    selection = {
        "uuid": {"uuid": vm["uuid"]},
        "instance_uuid": {"uuid": vm["instance_uuid"], "use_instance_uuid": True},
        "moid": {"moid": vm["moid"]},
    }[by]
    assert export(small_vcenter, tmp_path, check=True, **selection)["vm"]["name"] == "small01"


def test_selects_by_datacenter_and_folder(small_vcenter: Vcsim, tmp_path: Path) -> None:
    found = export(small_vcenter, tmp_path, check=True, datacenter="DC0", folder="/production/web")
    assert found["vm"]["folder"] == "/production/web"
    refused = export(small_vcenter, tmp_path, check=True, folder="/production")
    assert (
        refused["failed"] and "There is no VM 'small01' in folder '/production'" in refused["msg"]
    )
    refused = export(small_vcenter, tmp_path, check=True, datacenter="DC9")
    assert refused["failed"] and "there are: DC0" in refused["msg"]


def test_a_running_vm_is_refused_before_anything_is_touched(
    small_vcenter: Vcsim, tmp_path: Path
) -> None:
    result = export(small_vcenter, tmp_path / "live01", name="live01")
    assert result["failed"]
    assert "live01 is poweredOn" in result["msg"] and "power_off: true" in result["msg"]
    assert small_vcenter.status()["leases"] == []


def test_shuts_a_running_vm_down(small_vcenter: Vcsim, tmp_path: Path) -> None:
    result = export(small_vcenter, tmp_path, name="live01", power_off=True)
    assert result["changed"] is True, result
    again = export(small_vcenter, tmp_path, name="live01")
    # What describes the VM stays the same too: the manifest is made from it.
    assert again["changed"] is False and again["vm"] == result["vm"]


def test_a_guest_that_does_not_shut_down_is_forced_only_where_that_is_asked_for(
    small_inventory: dict[str, Any], tmp_path: Path
) -> None:
    inventory = deepcopy(small_inventory)
    for machine in inventory["vms"]:
        machine["shutdown_delay"] = -1
    wanted = {"name": "live01", "power_off": True, "shutdown_timeout": 1}
    with Vcsim(inventory) as vcenter:
        refused = export(vcenter, tmp_path, **wanted)
        assert refused["failed"] and "raise shutdown_timeout" in refused["msg"], refused
        assert lease_ends(vcenter) == []
        forced = export(vcenter, tmp_path, **wanted, force_power_off=True)
        assert forced.get("changed") is True, forced


def test_exports_a_running_vm_through_a_snapshot(small_vcenter: Vcsim, tmp_path: Path) -> None:
    result = export(small_vcenter, tmp_path, name="live01", snapshot={"create": True})
    assert result["changed"] is True, result
    assert result["vm"]["power_state"] == "poweredOn"
    (vm,) = (vm for vm in small_vcenter.status()["vms"] if vm["name"] == "live01")
    assert vm["power_state"] == "poweredOn" and vm["snapshots"] == []
    missing = export(small_vcenter, tmp_path, name="live01", snapshot={"name": "before"})
    assert missing["failed"] and "no snapshot named 'before'" in missing["msg"]


def test_rate_limit_holds(small_vcenter: Vcsim, tmp_path: Path) -> None:
    result = export(small_vcenter, tmp_path, bandwidth_limit=2)
    seconds = result["bytes_transferred"] / (2 << 20)
    assert result["duration"] > 0.8 * seconds


def test_too_little_room_is_refused_before_anything_starts(
    small_vcenter: Vcsim, tmp_path: Path
) -> None:
    full = tmp_path / "small"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(full)], check=True)
    try:
        result = export(small_vcenter, full / "small01")
        assert result["failed"] and "GiB free" in result["msg"]
        assert small_vcenter.status()["leases"] == []
    finally:
        subprocess.run(["umount", str(full)], check=True)


def test_connection_is_checked(small_vcenter: Vcsim, tmp_path: Path) -> None:
    untrusted = export(small_vcenter, tmp_path, ca_path=None)
    assert untrusted["failed"] and "ca_path" in untrusted["msg"]
    pinned = export(small_vcenter, tmp_path, ca_path=None, thumbprint=small_vcenter.thumbprint)
    assert pinned["changed"] is True, pinned
    wrong = export(small_vcenter, tmp_path, thumbprint="AB" * 32)
    assert wrong["failed"] and "showed a certificate with the thumbprint" in wrong["msg"]
    login = export(small_vcenter, tmp_path, password="wrong-secret")
    assert login["failed"] and "refused the login" in login["msg"]
    assert "wrong-secret" not in str(login["msg"])
    small_vcenter.set_faults([{"kind": "vcenter_status", "code": 404}])
    other = export(small_vcenter, tmp_path)
    assert other["failed"] and "does not answer as vCenter does" in other["msg"], other


def test_goes_through_a_proxy(small_vcenter: Vcsim, tmp_path: Path) -> None:
    with ConnectProxy() as proxy:
        result = export(small_vcenter, tmp_path, proxy_host="127.0.0.1", proxy_port=proxy.port)
    assert result.get("changed") is True, result
    assert set(proxy.targets) == {
        f"127.0.0.1:{small_vcenter.port}",
        f"127.0.0.1:{small_vcenter.nfc_port}",
    }


def test_exports_a_template(small_inventory: dict[str, Any], tmp_path: Path) -> None:
    (small, _live) = small_inventory["vms"]
    inventory = {"vms": [{**small, "name": "golden", "template": True}]}
    with Vcsim(inventory) as vcenter:
        result = export(vcenter, tmp_path, name="golden")
    assert result.get("changed") is True, result
    assert result["vm"]["template"] is True


def test_an_ambiguous_name_lists_the_candidates(
    small_inventory: dict[str, Any], tmp_path: Path
) -> None:
    (small, _live) = small_inventory["vms"]
    inventory = {"vms": [small, {**small, "datacenter": "Zurich", "folder": "staging", "nics": []}]}
    with Vcsim(inventory) as vcenter:
        result = export(vcenter, tmp_path)
        assert result["failed"] and "is ambiguous" in result["msg"]
        paths = [candidate["path"] for candidate in result["candidates"]]
        assert sorted(paths) == ["/DC0/production/web/small01", "/Zurich/staging/small01"]
        for candidate in result["candidates"]:
            assert candidate["moid"] in result["msg"]
        assert export(vcenter, tmp_path, folder="staging").get("changed") is True


def test_nvram_is_exported_unless_it_is_left_out(
    small_inventory: dict[str, Any], tmp_path: Path
) -> None:
    (small, _live) = small_inventory["vms"]
    nvram = tmp_path / "source.nvram"
    nvram.write_bytes(b"variables" * 1000)
    inventory = {"vms": [{**small, "firmware": "efi", "nvram": str(nvram)}]}
    with Vcsim(inventory) as vcenter:
        result = export(vcenter, tmp_path / "with")
        assert result.get("changed") is True, result
        assert (tmp_path / "with" / "small01.nvram").read_bytes() == nvram.read_bytes()
        assert "small01.nvram" in Path(result["mf_path"]).read_text()
        assert "small01.nvram" in Path(result["ovf_path"]).read_text()
        without = export(vcenter, tmp_path / "without", nvram=False)
        assert without.get("changed") is True, without
        assert not (tmp_path / "without" / "small01.nvram").exists()
        assert "nvram" not in Path(without["mf_path"]).read_text()


def test_cd_images_are_exported_where_they_are_wanted(
    small_inventory: dict[str, Any], tmp_path: Path
) -> None:
    (small, _live) = small_inventory["vms"]
    image = tmp_path / "tools.iso"
    image.write_bytes(b"CD001" * 10_000)
    with Vcsim({"vms": [{**small, "cdroms": [{"path": str(image)}]}]}) as vcenter:
        dest = tmp_path / "out"
        without = export(vcenter, dest)
        assert without.get("changed") is True, without
        assert {file["kind"] for file in without["files"]} == {"disk", "descriptor", "manifest"}
        assert ".iso" not in Path(without["ovf_path"]).read_text()
        result = export(vcenter, dest, cdrom_images=True)
        assert result.get("changed") is True, result
        # The disks are those of the first time.
        assert result["bytes_transferred"] == image.stat().st_size
        (fetched,) = (file for file in result["files"] if file["kind"] == "cdrom")
        assert Path(fetched["path"]) == dest / "small01-cdrom1.iso"
        assert Path(fetched["path"]).read_bytes() == image.read_bytes()
        assert "small01-cdrom1.iso" in Path(result["mf_path"]).read_text()
        assert "small01-cdrom1.iso" in Path(result["ovf_path"]).read_text()
        assert export(vcenter, dest, cdrom_images=True).get("changed") is False
