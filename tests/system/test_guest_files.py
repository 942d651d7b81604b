# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest's files through libguestfs' appliance are what they are through a directory.

The same program does the same to both, in hyper2kvm's Python, which has libguestfs' binding.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest import files as guest_files
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.environment import (
    CACHE_VARIABLE,
    hyper2kvm_environment,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.sandbox.kvm_device import kvm_works
from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import cache_dir

pytestmark = pytest.mark.emulated

_PROGRAM = """
import json, sys
import guestfs
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.appliance_files import (
    GuestfsFiles)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import (
    Attributes, DirectoryFiles, GuestFileError)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.keeping import (
    keep, put_back)

ACL = bytes.fromhex("02000000" "01000600ffffffff" "0200040005000000" "04000400ffffffff"
                    "10000400ffffffff" "20000000ffffffff")
LABEL = b"system_u:object_r:net_conf_t:s0\\0"
KEPT = Attributes(0o640, 3, 4, {"security.selinux": LABEL, "system.posix_acl_access": ACL,
                                "user.binary": b"a\\0\\xe9b", "user.empty": b""})
PATH = "/etc/network/interfaces"

def tried(function, *arguments):
    try:
        return function(*arguments)
    except GuestFileError as error:
        return type(error).__name__

def told(files):
    files.write(PATH, b"auto lo\\n", KEPT)
    yield "attributes", files.attributes(PATH) == KEPT
    files.write(PATH, b"changed\\n")
    yield "kept in writing", files.attributes(PATH) == KEPT
    files.write("/etc/large", b"x" * (5 << 20))
    yield "large", len(files.read("/etc/large"))
    yield "limit", tried(files.read, "/etc/large", 5)
    files.link("../../../../etc/network", "/etc/climbs")
    yield "climbs", files.read("/etc/climbs/interfaces").decode()
    yield "target", files.readlink("/etc/climbs")
    yield "no link", [files.readlink("/etc"), files.readlink("/none")]
    yield "names", [files.list("/etc"), files.list("/none"), files.list(PATH)]
    yield "kinds", [(files.exists(p), files.is_file(p), files.is_dir(p))
                    for p in ("/etc", PATH, "/none", "/etc/climbs", PATH + "/below")]
    yield "failures", [tried(files.read, p) for p in ("/none", "/etc", PATH + "/below", "/\\udce9")]
    files.link("/etc/large", "/etc/climbs")
    files.link("nowhere", "/circle/dangling")
    yield "dangling", files.exists("/circle/dangling")
    files.link("/circle/b", "/circle/a")
    files.link("a", "/circle/b")
    yield "circle", [files.list("/circle/a"), [(files.exists(p), files.is_file(p), files.is_dir(p))
                     for p in ("/circle/a", "/circle/b/below")]]
    yield "in a circle", [tried(f, "/circle/a") for f in (files.read, files.attributes)]
    yield "written in a circle", tried(files.write, "/circle/a", b"")
    yield "replaced", files.readlink("/etc/climbs")
    files.label("/etc/climbs", "security.selinux", LABEL)
    yield "label", files.attributes("/etc/climbs", False).xattrs == {"security.selinux": LABEL}
    kept = keep(files)
    files.remove(PATH)
    files.write(PATH, b"spoilt\\n")
    files.write(PATH + ".hyper2kvm_backup_1", b"")
    yield "repairs", [repair.path for repair in put_back(files, kept)]
    yield "put back", files.read(PATH) == b"changed\\n" and files.attributes(PATH) == KEPT
    yield "tidy", files.list("/etc/network")
    for path in ("/etc/climbs", "/etc/large", "/none"):
        files.remove(path)
    yield "removed", [files.list("/etc"), tried(files.remove, "/etc")]

handle = guestfs.GuestFS(python_return_dict=True)
handle.add_drive_scratch(64 << 20)
handle.launch()
handle.mkfs("ext4", "/dev/sda")
handle.mount("/dev/sda", "/")
print(json.dumps([list(told(GuestfsFiles(handle))), list(told(DirectoryFiles(sys.argv[1])))]))
"""


def test_both_ways_to_a_guests_files_are_alike(conversion_python: Path, tmp_path: Path) -> None:
    root = Path(*Path(guest_files.__file__).parts[: -len(guest_files.__name__.split("."))])
    environment = hyper2kvm_environment(
        {CACHE_VARIABLE: str(cache_dir("appliance"))}, kvm=kvm_works()
    )
    command = [str(conversion_python), "-c", _PROGRAM, str(tmp_path)]
    completed = subprocess.run(
        command,
        env={**environment, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert completed.returncode == 0, completed.stderr
    appliance, directory = (dict(each) for each in json.loads(completed.stdout))
    # mkfs makes one directory more, which is not in /etc.
    assert appliance == directory
    for name in ("attributes", "kept in writing", "label", "put back"):
        assert appliance[name] is True, name
    assert appliance["climbs"] == "changed\n"
    assert appliance["dangling"] is False
    assert appliance["circle"] == [[], [[False] * 3] * 2]
    assert appliance["in a circle"] == ["GuestFileError"] * 2
    assert appliance["failures"] == [
        "MissingGuestFile",
        "GuestFileError",
        "MissingGuestFile",
        "GuestFileError",
    ]
