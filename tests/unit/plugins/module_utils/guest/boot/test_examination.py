# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.boot.examination import (
    Guest,
    examine,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.boot.mending import mend
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import DirectoryFiles
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.layers import Layers
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.storage import (
    Storage,
    Volume,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.linux_tree import (
    NEEDED,
    VERSION,
    GuestWithDracut,
    GuestWithTools,
    initramfs,
    make_tree,
    write,
)

INITRAMFS = f"/boot/initrd.img-{VERSION}"
STORAGE = Storage([Volume("/dev/sda"), Volume("/dev/sda1", "ext4", uuid="root")])


def guest(files: DirectoryFiles, **changes: object) -> Guest:
    made = Guest(
        files=files,
        storage=STORAGE,
        root_device="/dev/sda1",
        mounted={"/": "/dev/sda1"},
        layers=Layers(disks=("/dev/sda",)),
        firmware="bios",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def messages(one: Guest) -> list[str]:
    return [f"{finding.severity}: {finding.message}" for finding in examine(one).findings()]


def test_a_guest_that_lacks_nothing(tmp_path: Path) -> None:
    one = guest(make_tree(tmp_path))
    assert messages(one) == []
    summary = examine(one).summary()
    assert summary["kernels"] == [
        {"version": VERSION, "initramfs": INITRAMFS, "boots_on_virtio": True, "missing": []}
    ]
    assert summary["drivers"] == {
        VERSION: {
            "virtio_pci": "initramfs",
            "virtio_blk": "initramfs",
            "virtio_scsi": "initramfs",
            "virtio_net": "on disk only",
        }
    }


@pytest.mark.parametrize("module", NEEDED)
def test_each_module_that_is_missing_is_named(tmp_path: Path, module: str) -> None:
    one = guest(make_tree(tmp_path, [name for name in NEEDED if name != module]))
    (message,) = messages(one)
    assert message.startswith(f"error: The initramfs of kernel {VERSION} has no {module} (")


def test_a_kernel_without_initramfs_needs_all_built_in(tmp_path: Path) -> None:
    files = make_tree(tmp_path)
    files.remove(INITRAMFS)
    assert "virtio_blk (virtio disks)" in messages(guest(files))[0]
    paths = "".join(f"kernel/{module}.ko\n" for module in NEEDED)
    files.write(f"/usr/lib/modules/{VERSION}/modules.builtin", paths.encode())
    assert messages(guest(files)) == []
    assert set(examine(guest(files)).summary()["drivers"][VERSION].values()) == {
        "built in",
        "on disk only",
    }


def test_a_kernel_that_has_no_such_module(tmp_path: Path) -> None:
    storage = Storage([Volume("/dev/sda1", "btrfs", uuid="root")])
    (message,) = messages(guest(make_tree(tmp_path), storage=storage))
    assert message == f"error: Kernel {VERSION} has no module btrfs (the filesystem mounted on /)."


def test_what_lies_below_the_root(tmp_path: Path) -> None:
    layers = Layers(modules=("dm_mod",), programs=("lvm",))
    one = guest(make_tree(tmp_path), layers=layers)
    assert len(messages(one)) == 2
    write(tmp_path, {INITRAMFS: initramfs([*NEEDED, "dm-mod"], ["sbin/lvm"])})
    assert messages(one) == []


def test_what_a_removed_kernel_left_is_none(tmp_path: Path) -> None:
    files = make_tree(tmp_path)
    write(tmp_path, {"/usr/lib/modules/5.10.0-1-amd64/modules.dep": ""})
    assert [kernel.version for kernel in examine(guest(files)).kernels] == [VERSION]


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("/boot/vmlinuz-5.14.0-1.el9.x86_64", "/boot/initramfs-5.14.0-1.el9.x86_64.img"),
        ("/boot/vmlinuz-5.14.0-1.el9.x86_64", "/boot/initrd-5.14.0-1.el9.x86_64"),
        ("/boot/0a1b/5.14.0-1.el9.x86_64/linux", "/boot/0a1b/5.14.0-1.el9.x86_64/initrd"),
        ("/boot/vmlinuz-linux", "/boot/initramfs-linux.img"),
    ],
)
def test_where_distributions_put_them(tmp_path: Path, image: str, name: str) -> None:
    modules = "/lib/modules/5.14.0-1.el9.x86_64"
    files = {
        image: "k",
        name: initramfs([]),
        f"{modules}/modules.dep": "",
        "/etc/machine-id": "0a1b\n",
    }
    write(tmp_path, {**files, f"{modules}/pkgbase": "linux\n"})
    (kernel,) = examine(guest(DirectoryFiles(tmp_path))).kernels
    assert (kernel.image, kernel.initramfs) == (image, name)


def test_a_damaged_initramfs(tmp_path: Path) -> None:
    files = make_tree(tmp_path)
    files.write(INITRAMFS, files.read(INITRAMFS)[:-600])
    assert messages(guest(files))[0].startswith(
        f"error: The initramfs of kernel {VERSION} can't be"
    )


def test_no_kernel_is_said(tmp_path: Path) -> None:
    assert messages(guest(DirectoryFiles(tmp_path)))[0].startswith("warning: No kernel")


class TestMending:
    """What is done about it, with a guest's tool that does as it is told."""

    def test_drivers_come_in(self, tmp_path: Path) -> None:
        make_tree(tmp_path, NEEDED[:5])
        one = guest(GuestWithTools(tmp_path))
        before = examine(one)
        assert len(before.findings()) == 1
        repairs, problems, after = mend(one, before, written=(), timeout=10, lap=print)
        assert problems == []
        assert after.findings() == []
        assert after.summary()["kernels"][0]["boots_on_virtio"] is True
        assert [repair.path for repair in repairs] == ["/etc/initramfs-tools/modules", INITRAMFS]
        assert "virtio_blk" in repairs[1].before

    def test_nothing_is_run_where_nothing_is_missing(self, tmp_path: Path) -> None:
        make_tree(tmp_path)
        tools = GuestWithTools(tmp_path)
        mend(guest(tools), examine(guest(tools)), written=["/etc/fstab"], timeout=10, lap=print)
        assert tools.ran == []

    def test_an_initramfs_that_carries_a_changed_file_is_made_anew(self, tmp_path: Path) -> None:
        make_tree(tmp_path)
        carried = "etc/modprobe.d/ours.conf"
        write(tmp_path, {INITRAMFS: initramfs(NEEDED, [carried])})
        tools = GuestWithTools(tmp_path)
        mend(guest(tools), examine(guest(tools)), written=[f"/{carried}"], timeout=10, lap=print)
        assert tools.ran == [["/usr/sbin/update-initramfs", "-u", "-k", VERSION]]

    def test_a_tool_that_fails_is_quoted(self, tmp_path: Path) -> None:
        make_tree(tmp_path, [])
        one = guest(GuestWithTools(tmp_path, status=1))
        _repairs, problems, after = mend(one, examine(one), written=(), timeout=10, lap=print)
        assert "No space left on device" in problems[0].message
        assert len(after.findings()) == 1

    def test_an_initramfs_that_is_not_there_is_made_and_looked_at(self, tmp_path: Path) -> None:
        make_tree(tmp_path).remove(INITRAMFS)
        tools = GuestWithTools(tmp_path)
        repairs, problems, after = mend(
            guest(tools), examine(guest(tools)), written=(), timeout=10, lap=print
        )
        assert tools.ran == [["/usr/sbin/update-initramfs", "-c", "-k", VERSION]]
        assert (problems, after.findings()) == ([], [])
        assert repairs[-1].path == INITRAMFS

    @pytest.mark.parametrize("fits", [True, False])
    def test_a_guest_with_dracut(self, tmp_path: Path, fits: bool) -> None:
        files = make_tree(tmp_path, NEEDED[:5])
        files.remove("/usr/sbin/update-initramfs")
        files.write("/usr/bin/dracut", b"program")
        old = files.read(INITRAMFS)
        one = guest(GuestWithDracut(tmp_path, room=1 << 30 if fits else len(old)))
        repairs, problems, after = mend(one, examine(one), written=(), timeout=10, lap=print)
        if fits:
            assert (problems, after.findings()) == ([], [])
            assert [repair.path for repair in repairs] == [
                "/etc/dracut.conf.d/90-hyper2kvm.conf",
                INITRAMFS,
            ]
        else:
            (problem,) = problems
            assert problem.path == INITRAMFS
            assert problem.action.startswith("Make room on that filesystem")
            assert one.files.read(INITRAMFS) == old
            assert len(after.findings()) == 1

    def test_a_guest_without_such_a_tool(self, tmp_path: Path) -> None:
        make_tree(tmp_path, []).remove("/usr/sbin/update-initramfs")
        one = guest(DirectoryFiles(tmp_path))
        repairs, problems, after = mend(one, examine(one), written=(), timeout=10, lap=print)
        assert repairs == []
        assert "none of initramfs-tools" in problems[0].message
        assert len(after.findings()) == 1
