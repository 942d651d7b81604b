# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shlex
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.definition import (
    MARK_NAMESPACE as NAMESPACE,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.definition import (
    Mark,
    digest_of,
    mark_of,
    virt_install_arguments,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.machine import Disk
from ansible_collections.hypersdk.hyper2kvm.tests.unit.plugins.module_utils.kvm.domain.asked import (
    request,
)


def value_of(argv: list[str], option: str) -> str:
    return argv[argv.index(option) + 1]


def arguments(**options: object) -> list[str]:
    disks = [Disk(Path("/a/disk-0.qcow2"), "qcow2"), Disk(Path("/a/disk-1.raw"), "raw")]
    return virt_install_arguments(
        request(**options), disks, 1, uri="qemu:///system", virt_type="kvm", osinfo="generic"
    )


def test_it_prints_and_does_nothing_else() -> None:
    argv = arguments()
    assert {"--print-xml", "--dry-run", "--import", "--noautoconsole"} <= set(argv)
    # A path of the images would have virt-install make a storage pool.
    assert not any("/a/" in argument for argument in argv)


def test_virt_install_gets_no_name_that_it_does_not_take() -> None:
    assert " " not in value_of(arguments(name="Web Server 01"), "--name")


def test_cpus_are_cores_of_one_socket_unless_the_user_says_otherwise() -> None:
    assert value_of(arguments(), "--vcpus") == "4,sockets=1,cores=4,threads=1"
    assert value_of(arguments(cpu_model="host-model"), "--vcpus").startswith("4,sockets=1")
    assert value_of(arguments(cpu_model="host-model,topology.sockets=2"), "--vcpus") == "4"


def test_one_disk_boots() -> None:
    argv = arguments()
    disks = [argv[place + 1] for place, word in enumerate(argv) if word == "--disk"]
    assert ["boot.order=1" in disk for disk in disks] == [False, True]
    assert ["driver.type=qcow2" in disk for disk in disks] == [True, False]


def test_secure_boot_and_the_lack_of_it_are_both_said() -> None:
    assert "feature0.enabled=yes" in value_of(arguments(), "--boot")
    plain = arguments(secure_boot=False)
    assert "feature0.enabled=no" in value_of(plain, "--boot")
    assert "--features" not in plain
    assert "--boot" not in arguments(firmware="bios", secure_boot=False)


def test_there_is_a_tpm_only_when_asked_for() -> None:
    assert value_of(arguments(), "--tpm") == "none"
    assert "tpm-crb" in value_of(arguments(tpm=True), "--tpm")


def test_names_stay_in_their_place() -> None:
    name = 'a,uuid=1 "b" \\ c'
    splitter = shlex.shlex(value_of(arguments(name=name), "--metadata"), posix=True)
    splitter.commenters, splitter.whitespace, splitter.whitespace_split = "", ",", True
    uuid, title = list(splitter)
    assert uuid.startswith("uuid=")
    assert title.startswith(f"title={name}")


def test_a_mark_is_read_as_it_was_written() -> None:
    mark = Mark("/srv/a & b", "r", "d")
    xml = f"<domain><name>x</name><metadata>{mark.xml()}</metadata></domain>"
    # libvirt adds the namespace to what it is given.
    xml = xml.replace("<domain><directory>", f'<domain xmlns="{NAMESPACE}"><directory>')
    assert mark_of(xml) == mark
    assert mark_of("<domain><name>x</name></domain>") is None


def test_a_digest_does_not_see_the_mark_nor_prefixes() -> None:
    def domain(mark: str, prefix: str, name: str = "x") -> str:
        other = f"<{prefix}:o xmlns:{prefix}='http://other'/>"
        return f"<domain><name>{name}</name><metadata>{other}{mark}</metadata></domain>"

    mark = f'<m:domain xmlns:m="{NAMESPACE}"><m:request>1</m:request></m:domain>'
    assert digest_of(domain(mark, "a")) == digest_of(domain("", "b"))
    assert digest_of(domain("", "a", "y")) != digest_of(domain("", "a"))
