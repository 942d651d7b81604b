# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.extended_attributes import (
    access_list_text,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import (
    Attributes,
    DirectoryFiles,
    GuestFileError,
    MissingGuestFile,
)

ACL = bytes.fromhex(
    "02000000 0100 0600 ffffffff 0200 0400 05000000 0400 0400 ffffffff"
    " 1000 0400 ffffffff 2000 0000 ffffffff"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a guest's root that lies beside a directory of the host's."""
    host = tmp_path / "host" / "etc"
    host.mkdir(parents=True)
    (host / "interfaces").write_text("the host's\n")
    guest = tmp_path / "host" / "guest"
    (guest / "etc" / "network").mkdir(parents=True)
    (guest / "etc" / "interfaces").write_text("the guest's\n")
    return guest


@pytest.mark.parametrize("target", ["../../../../../etc", "/etc", "../etc/../../../etc/./"])
def test_a_link_that_climbs_out_ends_in_the_guests_root(root: Path, target: str) -> None:
    files = DirectoryFiles(root)
    (root / "etc" / "climbs").symlink_to(target)
    assert files.read("/etc/climbs/interfaces") == b"the guest's\n"
    files.write("/etc/climbs/interfaces", b"written\n")
    files.write("/etc/climbs/new/file", b"new\n")
    files.remove("/etc/climbs/interfaces")
    assert (root.parent / "etc" / "interfaces").read_text() == "the host's\n"
    assert not (root / "etc" / "interfaces").exists()
    assert (root / "etc" / "new" / "file").read_bytes() == b"new\n"
    assert sorted(os.listdir(root.parent)) == ["etc", "guest"]
    assert files.readlink("/etc/climbs") == target


def test_dots_in_a_path_stay_in_the_root(root: Path) -> None:
    files = DirectoryFiles(root)
    assert files.read("/../../etc/./network/../interfaces") == b"the guest's\n"


def test_links_in_a_circle_are_an_error(root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("/a")
    with pytest.raises(GuestFileError, match=r"/a"):
        DirectoryFiles(root).read("/a")
    assert not DirectoryFiles(root).exists("/a")


def test_only_regular_files_up_to_a_limit_are_read(root: Path) -> None:
    files = DirectoryFiles(root)
    os.mkfifo(root / "etc" / "fifo")
    with pytest.raises(GuestFileError, match="no regular file"):
        files.read("/etc/fifo")
    with pytest.raises(GuestFileError, match="larger than 3 bytes"):
        files.read("/etc/interfaces", 3)
    for path in ("/etc/none", "/etc/interfaces/below"):
        with pytest.raises(MissingGuestFile):
            files.read(path)
    with pytest.raises(GuestFileError, match="can't be handled"):
        files.read("/etc/\udce9")


def test_kinds_and_names(root: Path) -> None:
    files = DirectoryFiles(root)
    (root / "etc" / "dangling").symlink_to("nowhere")
    (Path(os.fsdecode(bytes(root / "etc") + b"/caf\xe9"))).write_text("")
    assert files.list("/etc") == ["dangling", "interfaces", "network"]
    assert files.list("/none") == files.list("/etc/interfaces") == []
    assert files.is_dir("/etc") and not files.is_file("/etc")
    assert files.is_file("/etc/interfaces") and not files.is_dir("/etc/interfaces")
    assert not files.exists("/etc/dangling") and files.readlink("/etc/dangling") == "nowhere"
    assert files.readlink("/etc/interfaces") is None and files.readlink("/none") is None


def test_a_file_keeps_what_it_is_and_gets_what_is_asked(root: Path) -> None:
    files = DirectoryFiles(root)
    path = root / "etc" / "interfaces"
    path.chmod(0o640)
    os.setxattr(path, "user.mark", b"\0one")
    kept = files.attributes("/etc/interfaces")
    assert kept == Attributes(0o640, os.getuid(), os.getgid(), {"user.mark": b"\0one"})
    files.write("/etc/interfaces", b"changed\n")
    assert files.attributes("/etc/interfaces") == kept
    other = Attributes(0o600, os.getuid(), os.getgid(), {"user.other": b"two"})
    files.write("/etc/interfaces", b"again\n", other)
    assert files.attributes("/etc/interfaces") == other
    files.write("/etc/new", b"")
    assert files.attributes("/etc/new").mode == 0o644


def test_links_are_made_replaced_and_taken_away(root: Path) -> None:
    files = DirectoryFiles(root)
    files.link("/dev/null", "/etc/systemd/system/a.service")
    files.link("../b", "/etc/systemd/system/a.service")
    assert files.readlink("/etc/systemd/system/a.service") == "../b"
    files.remove("/etc/systemd/system/a.service")
    files.remove("/etc/systemd/system/a.service")
    assert files.list("/etc/systemd/system") == []
    with pytest.raises(GuestFileError, match="can't be taken away"):
        files.remove("/etc")


def test_a_directorys_programs_are_not_run(root: Path) -> None:
    with pytest.raises(GuestFileError, match="appliance"):
        DirectoryFiles(root).run(["true"], 1)


def test_an_access_list_as_text() -> None:
    assert access_list_text(ACL) == "u::rw-,u:5:r--,g::r--,m::r--,o::---"


@pytest.mark.parametrize("value", [b"", b"\1\0\0\0", ACL[:-1], ACL[:4] + b"\x99" + ACL[5:]])
def test_no_access_list(value: bytes) -> None:
    with pytest.raises(ValueError, match="access list"):
        access_list_text(value)
