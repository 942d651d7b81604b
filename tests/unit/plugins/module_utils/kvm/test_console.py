# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.console import (
    LOGIN_PROMPT,
    Console,
)


def console(*pieces: bytes, pattern: str = LOGIN_PROMPT) -> Console:
    watched = Console(pattern)
    for piece in pieces:
        watched.feed(piece)
    return watched


def test_a_login_prompt() -> None:
    watched = console(b"Debian GNU/Linux 12 web01 ttyS0\r\n\r\nweb01 login: ")
    assert watched.matched == "web01 login:"
    assert watched.decided
    assert watched.failure is None


def test_a_prompt_in_pieces_and_colours() -> None:
    text = b"\x1b[0;1;32mok\x1b[0m\r\n\x1b[2J\x1b[01;01Hweb01\x1b[0m login: "
    watched = console(*(text[index : index + 1] for index in range(len(text))))
    assert watched.matched == "web01 login:"


def test_what_is_no_prompt() -> None:
    watched = console(
        b"[  OK  ] Started systemd-logind.service - User Login Management.\r\n"
        b"[    1.0] random: login: no\r\n"
    )
    assert not watched.decided


def test_a_pattern_of_the_user_s() -> None:
    watched = console(b"[  12.0] Started PostgreSQL 15.\r\n", pattern=r"Started PostgreSQL (\d+)")
    assert watched.matched == "Started PostgreSQL 15"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"[    5.1] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n", "kernel_panic"),
        (b"ALERT!  /dev/sda1 does not exist.\r\n(initramfs) ", "initramfs"),
        (b"Entering emergency mode. Exit the shell to continue.\r\n", "initramfs"),
        (b"error: no such device\r\nEntering rescue mode...\r\ngrub rescue> ", "grub_rescue"),
        (b"   Minimal BASH-like line editing\r\n\r\ngrub> ", "grub_shell"),
        (b"You are in emergency mode. After logging in, type journalctl\r\n", "emergency_mode"),
        (b"Booting from Hard Disk...\r\nNo bootable device.\r\n", "no_bootable_device"),
        (b"BdsDxe: No bootable option or device was found.\r\n", "no_bootable_device"),
        (b"UEFI Interactive Shell v2.2\r\nShell> ", "no_bootable_device"),
        (b"Missing operating system\r\n", "no_bootable_device"),
        (b">>Start PXE over IPv4.\r\n", "no_bootable_device"),
        (b"PXE-E18: Server response timeout.\r\n", "no_bootable_device"),
        (b'Generating "/run/initramfs/rdsosreport.txt"\r\n', "initramfs"),
        (b"You are now being dropped into an emergency shell.\r\n", "initramfs"),
        (b"[rootfs ]# ", "initramfs"),
        (
            b"error: file `/boot/vmlinuz' not found.\r\n"
            b"error: you need to load the kernel first.\r\n",
            "grub_error",
        ),
        (
            b"error: ../../grub-core/loader/i386/efi/linux.c:258:"
            b"you need to load the kernel first.\r\n",
            "grub_error",
        ),
        (
            b'BdsDxe: failed to load Boot0001 "UEFI Misc Device" from PciRoot(0x0)/Pci(0x3,0x0):'
            b" Access Denied\r\n",
            "secure_boot_violation",
        ),
        (
            b"error: ../../grub-core/kern/efi/sb.c:182:bad shim signature.\r\n",
            "secure_boot_violation",
        ),
        (b"Please unlock disk sda3_crypt: ", "passphrase"),
        (b"You are in rescue mode. After logging in\r\n", "emergency_mode"),
    ],
)
def test_states_that_a_machine_never_leaves(text: bytes, name: str) -> None:
    failure = console(b"SeaBIOS\r\n", text).failure
    assert failure is not None
    assert failure.name == name


@pytest.mark.parametrize(
    "text",
    [
        b"Loading initial ramdisk ...\r\n[    1.0] Trying to unpack rootfs image as initramfs...\r\n",
        b"[    2.0] systemd[1]: emergency.target: Wants rescue.service\r\n",
        b"GNU GRUB  version 2.06\r\n*Debian GNU/Linux\r\n",
        b"Booting from Hard Disk...\r\nGRUB loading.\r\nWelcome to GRUB!\r\n",
    ],
)
def test_healthy_lines(text: bytes) -> None:
    assert not console(text).decided


def test_what_came_first_counts() -> None:
    late = console(b"web01 login: \r\n[ 9.0] Kernel panic - not syncing: sysrq\r\n")
    assert (late.matched, late.failure) == ("web01 login:", None)
    early = console(b"[ 9.0] Kernel panic - not syncing: x\r\nweb01 login: ")
    assert early.matched == ""
    assert early.failure is not None


def test_what_is_decided_stays() -> None:
    watched = console(b"web01 login: ", b"\r\n(initramfs) ")
    assert watched.matched
    assert watched.failure is None


def test_memory_stays_bounded_and_the_tail_is_text() -> None:
    watched = Console(LOGIN_PROMPT)
    for number in range(2000):
        watched.feed(b"\x1b[1mline %d\x1b[0m\r\n\r\n" % number * 20)
    assert watched.tail(2) == ["line 1999", "line 1999"]
    assert len(watched.tail(100_000)) < 10_000
    watched.feed(b"\x1b]" + b"x" * 100_000)
    watched.feed(b"\x07\r\nweb01 login: ")
    assert watched.matched
