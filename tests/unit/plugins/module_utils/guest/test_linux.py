# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Linux guest as a whole: what is kept of it before FIX, and what is done after, in order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.boot.examination import Guest
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.layers import Layers
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.linux import (
    keep_originals,
    repair_linux,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.outcome import Outcome
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.storage import (
    Storage,
    Volume,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.linux_tree import (
    NEEDED,
    VERSION,
    GuestWithTools,
    initramfs,
    make_tree,
    write,
)

STORAGE = Storage([Volume("/dev/sda1", "ext4", uuid="root")])
INITRAMFS = f"/boot/initrd.img-{VERSION}"
# udev's own file in an initramfs, with which NICs get their names there already.
NAMES_NICS = "usr/lib/udev/rules.d/80-net-setup-link.rules"
MODULES = "/etc/initramfs-tools/modules"
NIC = {"id": "nic-0", "mac": "00:50:56:8a:20:01", "pci_slot": 192, "adapter_type": "vmxnet3"}


class Fixed:
    """A guest whose interface ens192 has a static address, before FIX and after."""

    def __init__(
        self, root: Path, *, systemd: int = 252, fstab: str = "UUID=root / ext4 defaults 0 1\n"
    ) -> None:
        make_tree(root)
        write(
            root,
            {
                INITRAMFS: initramfs(NEEDED, [NAMES_NICS]),
                "/etc/fstab": fstab,
                f"/{NAMES_NICS}": "",
                "/sbin/ifup": "",
                f"/usr/lib/systemd/libsystemd-shared-{systemd}.so": "",
                "/etc/network/interfaces": "auto ens192\niface ens192 inet static\n"
                " address 192.0.2.10/24\n",
            },
        )
        self.files = GuestWithTools(root)
        self.originals = json.loads(json.dumps(keep_originals(self.files, {"nics": [NIC]})))

    def repaired(
        self, storage: Storage = STORAGE, laps: list[str] | None = None, **request: Any
    ) -> Outcome:
        guest = Guest(
            files=self.files,
            storage=storage,
            root_device="/dev/sda1",
            mounted={"/": "/dev/sda1"},
            layers=Layers(),
            firmware="bios",
            original_fstab=self.originals["fstab"],
        )
        usual = {"repair": True, "guest_network": "keep", "timeout": 10, "nics": [NIC]}
        reading = {"originals": self.originals}
        lap = [] if laps is None else laps
        return repair_linux(guest, {**usual, "reading": reading, **request}, lap.append)


@pytest.mark.parametrize(("systemd", "rebuilds"), [(252, 0), (240, 0), (239, 1)])
def test_an_initramfs_is_made_anew_for_a_nic_s_name_only_where_that_is_needed(
    tmp_path: Path, systemd: int, rebuilds: int
) -> None:
    fixed = Fixed(tmp_path, systemd=systemd)
    laps: list[str] = []
    outcome = fixed.repaired(laps=laps)
    assert any(repair.path.endswith("ens192.link") for repair in outcome.repaired)
    assert len(fixed.files.ran) == rebuilds
    assert laps == ["put back", "examine", "repair", "initramfs", "examine", "label"]
    by = [{"version": VERSION, "by": "repair"}] if rebuilds else []
    assert outcome.summary["initramfs_rebuilt"] == by


def test_what_hyper2kvm_made_is_told_apart(tmp_path: Path) -> None:
    fixed = Fixed(tmp_path)
    fixed.files.write(INITRAMFS, initramfs([*NEEDED, "virtio_net"]))
    summary = fixed.repaired().summary
    assert summary["initramfs_rebuilt"] == [{"version": VERSION, "by": "hyper2kvm"}]


def test_a_module_that_hyper2kvm_lost_comes_back_before_the_initramfs_is_looked_at(
    tmp_path: Path,
) -> None:
    fixed = Fixed(tmp_path)
    drivers = "".join(f"{module}\n" for module in NEEDED if module != "ext4")
    glued = f"# List of modules\next4# Added by hyper2kvm\n{drivers}"
    fixed.files.write(MODULES, glued.encode())
    fixed.files.write(INITRAMFS, initramfs(set(NEEDED) - {"ext4"}))
    outcome = fixed.repaired()
    assert outcome.findings == []
    assert outcome.repaired[0].path == MODULES
    assert len(fixed.files.ran) == 1


def test_without_repair_it_is_a_failure(tmp_path: Path) -> None:
    fixed = Fixed(tmp_path)
    fixed.files.write(MODULES, b"ext4# Added by hyper2kvm\n")
    fixed.files.write(INITRAMFS, initramfs([]))
    before = fixed.files.read(INITRAMFS)
    outcome = fixed.repaired(repair=False, guest_network="hyper2kvm")
    assert outcome.repaired == []
    assert {finding.severity for finding in outcome.findings} == {"error"}
    assert "part of a comment" in outcome.findings[0].message
    assert all(finding.action.endswith(", or leave repair on.") for finding in outcome.findings)
    assert fixed.files.ran == []
    assert fixed.files.read(INITRAMFS) == before


def test_what_a_repair_can_t_mend_does_not_ask_for_it(tmp_path: Path) -> None:
    fixed = Fixed(tmp_path)
    fixed.files.status = 1
    fixed.files.write(INITRAMFS, initramfs([]))
    findings = fixed.repaired().findings
    assert "Add them to the initramfs in the guest before the export." in [
        finding.action for finding in findings
    ]
    assert not any("repair on" in finding.action for finding in findings)


def test_a_machine_with_new_addresses_is_bound_to_them(tmp_path: Path) -> None:
    fixed = Fixed(tmp_path)
    new = "52:54:00:aa:00:01"
    network = fixed.repaired(macs={"nic-0": new}).summary["network"]
    assert f"MACAddress={new}\n" in fixed.files.read(
        "/etc/systemd/network/10-hyper2kvm-ens192.link"
    ).decode("utf-8")
    assert network["macs"] == {"nic-0": new}
    assert [each["mac"] for each in (*network["expected"], *network["names"])] == [new, new]
    assert fixed.repaired().summary["network"]["macs"] == {}


def test_the_user_s_network_files_say_what_is_to_answer(tmp_path: Path) -> None:
    fixed = Fixed(tmp_path)
    interfaces = "/etc/network/interfaces"
    path = "/etc/NetworkManager/system-connections/ens192.nmconnection"
    profile = (
        "[connection]\ntype=ethernet\ninterface-name=ens192\n"
        "[ipv4]\nmethod=manual\naddress1=198.51.100.10/24\n"
    )
    fixed.files.write(path, profile.encode())
    fixed.files.write("/usr/sbin/NetworkManager", b"")
    outcome = fixed.repaired(injected=[path, "/etc/systemd/system/x.service"])
    (expected,) = outcome.summary["network"]["expected"]
    assert (expected["address"], expected["nic"]) == ("198.51.100.10", "nic-0")
    assert [finding.path for finding in outcome.findings] == [interfaces]


def test_a_mount_that_fix_gave_the_root_s_filesystem_gets_its_own(tmp_path: Path) -> None:
    storage = Storage([*STORAGE.volumes, Volume("/dev/sdb1", "ext4", uuid="data")])
    guest = Fixed(tmp_path, fstab="UUID=root / ext4 defaults 0 1\n/dev/sdb1 /srv ext4 ro 0 2\n")
    made = "UUID=root\t/\text4\tdefaults\t0\t1\nUUID=root\t/srv\text4\tro,nofail\t0\t2\n"
    guest.files.write("/etc/fstab", made.encode())
    refused = guest.repaired(repair=False, storage=storage)
    assert [each.path for each in refused.findings if "UUID=root" in each.message] == ["/etc/fstab"]
    assert guest.files.read("/etc/fstab").decode() == made
    outcome = guest.repaired(storage=storage)
    assert outcome.findings == []
    text = guest.files.read("/etc/fstab").decode()
    assert text.splitlines()[1] == "UUID=data /srv ext4 ro 0 2"
