# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest import selinux
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import DirectoryFiles
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.selinux import (
    AUTORELABEL,
    label_written,
    parse_policy,
    policy_type,
)

ATTRIBUTE = "user.selinux"

# Lines as Fedora's and Debian's policies have them.
CONTEXTS = r"""
/.*	system_u:object_r:default_t:s0
/etc/.*	system_u:object_r:etc_t:s0
/etc/systemd/network(/.*)?	system_u:object_r:systemd_networkd_etc_t:s0
/etc/udev/rules\.d(/.*)?	--	system_u:object_r:udev_rules_t:s0
/etc/NetworkManager/system-connections(/.*)?	system_u:object_r:NetworkManager_etc_rw_t:s0
/usr/lib/systemd/system(/.*)?	system_u:object_r:systemd_unit_file_t:s0
/boot/.*	system_u:object_r:boot_t:s0
/boot/efi(/.*)?/System\.map(-.*)?	--	system_u:object_r:boot_t:s0
/etc/fstab\.d/.*	--	system_u:object_r:other_t:s0
/etc/fstab	--	system_u:object_r:etc_fstab_t:s0
/etc/hosts\.deny	--	system_u:object_r:net_conf_t:s0
/etc/mtab	-l	system_u:object_r:link_t:s0
/tmp/.*	<<none>>
/broken/(	--	system_u:object_r:broken_t:s0
"""
SUBSTITUTIONS = "/etc/systemd/system /usr/lib/systemd/system\n"


@pytest.mark.parametrize(
    ("path", "kind", "type_"),
    [
        ("/etc/systemd/network/10-hyper2kvm-ens192.link", "file", "systemd_networkd_etc_t"),
        ("/etc/udev/rules.d/70-persistent-net.rules", "file", "udev_rules_t"),
        ("/etc/udev/rules.d", "directory", "etc_t"),
        ("/etc/fstab", "file", "etc_fstab_t"),
        ("/etc/fstab", "directory", "etc_t"),
        ("/etc/hosts.deny", "file", "net_conf_t"),
        ("/etc/hostsXdeny", "file", "etc_t"),
        ("/etc/mtab", "link", "link_t"),
        ("/etc/systemd/system/a.target.wants/b.service", "link", "systemd_unit_file_t"),
        ("/boot/initrd.img-6.1", "file", "boot_t"),
        ("/srv/x", "file", "default_t"),
        ("/broken/(", "file", "default_t"),
    ],
)
def test_the_last_line_that_matches_says_the_label(path: str, kind: str, type_: str) -> None:
    policy = parse_policy([CONTEXTS], [SUBSTITUTIONS])
    assert policy.label(path, kind) == f"system_u:object_r:{type_}:s0"


def test_a_later_file_counts_more_and_none_is_none() -> None:
    local = "/etc/fstab -- system_u:object_r:mine_t:s0\n"
    assert parse_policy([CONTEXTS, local]).label("/etc/fstab") == "system_u:object_r:mine_t:s0"
    assert parse_policy([CONTEXTS]).label("/tmp/x") is None
    assert parse_policy(["nonsense", "a b c d\n"]).label("/tmp/x") is None


def guest(root: Path, mode: str = "enforcing", contexts: str = CONTEXTS) -> DirectoryFiles:
    files = DirectoryFiles(root)
    text = f"# SELINUX=disabled\nSELINUX={mode}\nSELINUXTYPE=default\n"
    files.write("/etc/selinux/config", text.encode())
    if contexts:
        files.write("/etc/selinux/default/contexts/files/file_contexts", contexts.encode())
    files.write("/etc/fstab", b"")
    files.write("/boot/initrd.img-6.1", b"")
    files.write("/etc/systemd/network/10-hyper2kvm-ens192.link", b"")
    return files


def test_what_has_no_label_gets_the_policys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only root may set what has the real name.
    monkeypatch.setattr(selinux, "ATTRIBUTE", ATTRIBUTE)
    files = guest(tmp_path)
    files.label("/etc/fstab", ATTRIBUTE, b"system_u:object_r:kept_t:s0\0")
    files.write("/etc/systemd/system/a.service", b"")
    # hyper2kvm's, in every guest; without a label systemd-modules-load may not read it and fails.
    files.write("/etc/modules-load.d/hyper2kvm.conf", b"")
    repairs = label_written(files, ["/etc/systemd/system/a.service", "/no/such/file"])
    assert {repair.path: repair.after.split(":")[2] for repair in repairs} == {
        "/boot/initrd.img-6.1": "boot_t",
        "/etc/systemd/network/10-hyper2kvm-ens192.link": "systemd_networkd_etc_t",
        "/etc/systemd/network": "systemd_networkd_etc_t",
        "/etc/systemd/system/a.service": "etc_t",
        "/etc/modules-load.d/hyper2kvm.conf": "etc_t",
    }
    link = files.attributes("/etc/systemd/network/10-hyper2kvm-ens192.link").xattrs
    assert link == {ATTRIBUTE: b"system_u:object_r:systemd_networkd_etc_t:s0\0"}
    kept = files.attributes("/etc/fstab").xattrs
    assert kept == {ATTRIBUTE: b"system_u:object_r:kept_t:s0\0"}
    assert label_written(files, []) == []


def test_where_no_label_can_be_given_a_relabel_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A name space that no filesystem has.
    monkeypatch.setattr(selinux, "ATTRIBUTE", "nowhere.selinux")
    (repair,) = label_written(guest(tmp_path), [])
    assert repair.path == AUTORELABEL


def test_without_a_policy_a_relabel_is_asked_for(tmp_path: Path) -> None:
    files = guest(tmp_path, "permissive", contexts="")
    (repair,) = label_written(files, [])
    assert repair.path == AUTORELABEL and files.is_file(AUTORELABEL)
    assert label_written(files, []) == []


def test_guests_without_selinux_are_left_alone(tmp_path: Path) -> None:
    assert policy_type(DirectoryFiles(tmp_path)) == ""
    files = guest(tmp_path, "disabled")
    assert label_written(files, []) == []
    assert not files.exists(AUTORELABEL)
