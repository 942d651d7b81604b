# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import (
    Attributes,
    DirectoryFiles,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.globbing import (
    expand,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.keeping import (
    Kept,
    injected_paths,
    keep,
    put_back,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.pinning import pin
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.reading import (
    read_network,
)
from ansible_collections.hypersdk.hyper2kvm.tests.unit.plugins.module_utils.guest.network.two_nics import (
    BOTH,
    tree,
)

INTERFACES = "auto ens192\niface ens192 inet static\n address 192.0.2.10/24\n"


# What hyper2kvm's network step does to files, and the copies that it leaves.
def spoil(files: DirectoryFiles, path: str) -> None:
    content = files.read(path)
    files.write(f"{path}.hyper2kvm_backup_20261124_210000", content)
    files.remove(path)
    files.write(path, b"# removed by hyper2kvm\n" + content)


KEYFILE = "/etc/NetworkManager/system-connections/a.nmconnection"
WAIT = "/etc/systemd/system/network-online.target.wants/NetworkManager-wait-online.service"


@pytest.fixture
def guest(tmp_path: Path) -> DirectoryFiles:
    files = tree(
        tmp_path,
        {
            "/etc/network/interfaces": INTERFACES,
            KEYFILE: "[connection]\nid=a\n[802-1x]\npassword=hunter2\n",
            "/etc/netplan/a.yaml": "network: {}\n",
            "/etc/systemd/network/a.network.d/b.conf": "[Match]\n",
            "/etc/fstab.backup.hyper2kvm.2020": "the guest's own\n",
            "/usr/lib/systemd/system/NetworkManager-wait-online.service": "",
            "/lib/systemd/system/vmtoolsd.service": "",
            "/etc/hosts": "",
        },
    )
    kept = Attributes(0o600, os.getuid(), os.getgid(), {"user.label": b"x\0"})
    files.set_attributes(KEYFILE, kept)
    files.link("/usr/lib/systemd/system/NetworkManager-wait-online.service", WAIT)
    files.link("../elsewhere", "/etc/netplan/link.yaml")
    return files


def everything(root: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            found[str(path)] = os.readlink(path)
        elif path.is_file():
            names = os.listxattr(path)
            found[str(path)] = (
                path.read_bytes(),
                path.stat().st_mode,
                {name: os.getxattr(path, name) for name in names},
            )
    return found


def test_put_back_leaves_the_guest_as_it_was(guest: DirectoryFiles, tmp_path: Path) -> None:
    before = everything(tmp_path)
    kept = Kept.from_values(json.loads(json.dumps(keep(guest).as_values())))
    spoil(guest, KEYFILE)
    guest.write(KEYFILE, guest.read(KEYFILE).replace(b"password=", b"802-1x.password = x"))
    spoil(guest, "/etc/network/interfaces")
    guest.remove("/etc/netplan/a.yaml")
    guest.remove("/etc/netplan/link.yaml")
    guest.write("/etc/netplan/link.yaml", b"")
    guest.set_attributes("/etc/systemd/network/a.network.d/b.conf", Attributes(0o600))
    guest.remove(WAIT)
    guest.link("/dev/null", "/etc/systemd/system/vmtoolsd.service")
    guest.write("/etc/fstab.backup.hyper2kvm.2026-11-24", b"")
    guest.write("/boot/grub/grub.cfg.backup.hyper2kvm.1", b"")
    guest.write(f"{KEYFILE}.tmp.hyper2kvm", b"")
    assert everything(tmp_path) != before
    repairs = put_back(guest, kept)
    assert everything(tmp_path) == before
    assert "hunter2" not in str(repairs)
    assert {each.path for each in repairs} >= {KEYFILE, WAIT, "/etc/netplan/a.yaml"}
    assert put_back(guest, kept) == []


def test_the_users_own_files_win(guest: DirectoryFiles) -> None:
    kept = keep(guest)
    configuration = {
        "network": {
            "network_files": [{"name": "lan", "content": "x"}],
            "nm_connections": [{"name": "a", "content": "x"}],
        }
    }
    paths = injected_paths(configuration)
    assert paths == {"/etc/systemd/network/50-lan.network", KEYFILE}
    guest.write(KEYFILE, b"the user's\n")
    guest.write("/etc/systemd/network/50-lan.network", b"the user's\n")
    spoil(guest, "/etc/network/interfaces")
    put_back(guest, kept, paths)
    assert guest.read(KEYFILE) == b"the user's\n"
    assert guest.read("/etc/systemd/network/50-lan.network") == b"the user's\n"
    assert guest.read("/etc/network/interfaces").startswith(b"auto ens192")
    assert injected_paths({}) == set()


def test_services_that_the_user_turned_off_stay_off(guest: DirectoryFiles) -> None:
    kept = keep(guest)
    mask = "/etc/systemd/system/vmtoolsd.service"
    guest.link("/dev/null", mask)
    guest.remove(WAIT)
    services = {"mask": ["vmtoolsd"], "disable": ["NetworkManager-wait-online.service"]}
    assert put_back(guest, kept, injected_paths({"services": services})) == []
    assert guest.readlink(mask) == "/dev/null" and guest.readlink(WAIT) is None
    assert {each.path for each in put_back(guest, kept)} == {mask, WAIT}


def test_tools_that_were_removed_are_not_enabled_again(guest: DirectoryFiles) -> None:
    unit = "/etc/systemd/system/multi-user.target.wants/vmtoolsd.service"
    guest.link("/lib/systemd/system/vmtoolsd.service", unit)
    kept = keep(guest)
    guest.remove(unit)
    guest.remove("/lib/systemd/system/vmtoolsd.service")
    put_back(guest, kept)
    assert guest.readlink(unit) is None


def test_a_link_out_of_the_guest_changes_nothing_outside(tmp_path: Path) -> None:
    outside = tmp_path / "etc"
    (outside / "netplan").mkdir(parents=True)
    (outside / "interfaces").write_text("the host's\n")
    (outside / "netplan" / "a.yaml").write_text("the host's\n")
    root = tmp_path / "guest"
    files = tree(root, {"/etc/hosts": ""})
    files.link("../../../../etc", "/etc/network")
    files.link("../../../../../etc/netplan", "/etc/systemd/network")
    files.link(str(outside / "netplan"), "/etc/netplan")
    before = everything(outside)
    kept = keep(files)
    assert not any(b"host's" in each.content for each in kept.files.values())
    reading = read_network(files, BOTH)
    pin(files, reading, BOTH)
    put_back(files, kept)
    assert everything(outside) == before


def test_patterns_over_a_guests_files(tmp_path: Path) -> None:
    files = tree(tmp_path, {"/a/b1/c": "", "/a/b2/c": "", "/a/b2/.d": ""})
    assert expand(files, "/a/b*/c") == ["/a/b1/c", "/a/b2/c"]
    assert expand(files, "/a/b2/*") == ["/a/b2/c"]
    assert expand(files, "/a/none/*") == expand(files, "/a/none") == []


names = st.sampled_from(
    [
        "/etc/network/interfaces",
        "/etc/network/interfaces.d/a",
        "/etc/netplan/a.yaml",
        "/etc/systemd/network/a.network",
        "/etc/systemd/network/a.link",
        KEYFILE,
        "/etc/sysconfig/network-scripts/ifcfg-a",
        "/etc/sysconfig/network/ifcfg-a",
        "/etc/wicked/ifconfig/a.xml",
        "/etc/udev/rules.d/70-a.rules",
        "/etc/cloud/cloud.cfg.d/a.cfg",
    ]
)


@settings(deadline=None)
@given(st.dictionaries(names, st.binary(max_size=200), max_size=4), st.data())
def test_put_back_is_exact_for_any_bytes(contents: dict[str, bytes], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as root:
        files = DirectoryFiles(root)
        for path, content in contents.items():
            files.write(path, content)
        before = everything(Path(root))
        read_network(files, BOTH)
        kept = Kept.from_values(json.loads(json.dumps(keep(files).as_values())))
        for path in contents:
            files.remove(path)
            if data.draw(st.booleans()):
                files.write(path, data.draw(st.binary(max_size=50)))
        put_back(files, kept)
        assert everything(Path(root)) == before
