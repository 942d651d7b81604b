# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.fstab import (
    parse_crypttab,
    parse_fstab,
    with_devices,
)

FSTAB = """\
# /dev/sda1 in a comment
/dev/sda1\t/ ext4 errors=remount-ro 0 1
/dev/sda5 none swap sw 0 0
  LABEL=data /srv/my\\040data/ xfs defaults,nofail
nas:/export /mnt nfs noauto
broken line
"""


def test_entries() -> None:
    root, swap, data, nas = parse_fstab(FSTAB)
    assert (root.line, root.spec, root.mount_point, root.type) == (1, "/dev/sda1", "/", "ext4")
    assert root.is_mounted
    assert not root.is_optional
    assert swap.is_swap
    assert not swap.is_mounted
    assert (data.mount_point, data.is_optional) == ("/srv/my data", True)
    assert nas.is_optional
    assert not nas.is_mounted


def test_another_device_and_nothing_else() -> None:
    changed = with_devices(FSTAB, {1: ("/dev/sda1", "UUID=1"), 2: ("/dev/sda5", "UUID=\\\\5")})
    expected = FSTAB.replace("/dev/sda1\t", "UUID=1\t").replace("/dev/sda5 ", "UUID=\\\\5 ")
    assert changed == expected
    assert with_devices("/dev/sda11 /dev/sda1 ext4\n", {0: ("/dev/sda1", "X")}) == (
        "/dev/sda11 X ext4\n"
    )


def test_crypttab() -> None:
    text = "# name device\ndata UUID=1 none luks,nofail\nswap /dev/sda5 /dev/urandom swap\nx\n"
    data, swap = parse_crypttab(text)
    assert (data.name, data.spec, data.is_optional) == ("data", "UUID=1", True)
    assert swap.options == ("swap",)
