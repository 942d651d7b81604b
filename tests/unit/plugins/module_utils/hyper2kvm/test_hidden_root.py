# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of roots that FIX does not find; that it finds those it is shown is for a guest."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.repair import Finding
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.session import (
    GuestError,
    Reading,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.subvolumes import HiddenRoot
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.disks import SourceDisk
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.errors import (
    ConversionError,
    RootNotFoundError,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.guest import (
    appliance_name,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.hidden_root import (
    root_to_show,
    still_hidden,
)

ROOT = HiddenRoot("/dev/sda3", "1111", "root", 257, 5, ("/dev/sda3",))
SAID = "hyper2kvm's stage fix failed: Failed to mount root filesystem. Its log: /out/hyper2kvm.log."


def refusal() -> RootNotFoundError:
    return RootNotFoundError(SAID, log_path="/out/hyper2kvm.log")


def reading(root: HiddenRoot | None, *findings: Finding) -> Reading:
    document: dict[str, Any] = {"system": {"type": "linux"}}
    if root is not None:
        # As it comes out of JSON.
        document["hidden_root"] = {**asdict(root), "members": list(root.members)}
    return Reading(document, findings, (0,))


def shown(read: Reading, **options: Any) -> HiddenRoot:
    chosen = {"boot": "/dev/sda", "isolation": "bubblewrap", "by_daemon": False, "dry_run": False}
    return root_to_show(refusal(), lambda: read, **{**chosen, **options})


def test_a_subvolume_on_a_partition_of_the_boot_disk_can_be_shown() -> None:
    assert shown(reading(ROOT)) == ROOT
    several = replace(ROOT, members=("/dev/sda3", "/dev/sda4"))
    assert shown(reading(several)) == several


@pytest.mark.parametrize(
    ("root", "options", "why", "action"),
    [
        (replace(ROOT, device="/dev/vg/root"), {}, "a logical volume", "subvol=/root, with"),
        (ROOT, {"boot": "/dev/sdb"}, "the boot disk alone", "without the stage fix"),
        (
            *(replace(ROOT, members=("/dev/sda3", "/dev/sdb1")), {}),
            *("the boot disk alone", "without the stage fix"),
        ),
        (ROOT, {"by_daemon": True}, "hyper2kvm's daemon", "mode: direct"),
        (ROOT, {"isolation": "none"}, "without isolation", "isolation: bubblewrap"),
        (ROOT, {"dry_run": True}, "a dry run does not make it", "without dry_run"),
    ],
)
def test_others_are_named_with_what_to_do(
    root: HiddenRoot, options: dict[str, Any], why: str, action: str
) -> None:
    with pytest.raises(ConversionError) as raised:
        shown(reading(root), **options)
    message = raised.value.message
    assert message.startswith(f"The guest's root is btrfs' subvolume root on {root.device}, and ")
    assert why in message
    assert message.endswith(f"; {SAID}")
    assert action in raised.value.action
    assert raised.value.details == {"log_path": "/out/hyper2kvm.log"}


def test_one_that_is_not_found_as_the_default_either() -> None:
    assert "even as the default one; hyper2kvm's stage" in still_hidden(refusal(), ROOT).message


def test_what_the_guest_has_instead_of_a_root_is_said() -> None:
    finding = Finding("error", "/", "No operating system was found.", "Leave fix out.")
    with pytest.raises(ConversionError, match=r"No operating system was found; hyper2kvm's") as one:
        shown(reading(None, finding))
    assert one.value.action == "Leave fix out."
    assert one.value.details["findings"] == [asdict(finding)]

    def unreadable() -> Reading:
        raise GuestError("The guest's root on /dev/sda1 (xfs) can't be mounted.", action="Install.")

    options = {"boot": "/dev/sda", "isolation": "none", "by_daemon": False, "dry_run": False}
    with pytest.raises(ConversionError, match=r"\(xfs\) can't be mounted; hyper2kvm's stage fix"):
        root_to_show(refusal(), unreadable, **options)


def test_what_is_no_subvolume_stays_as_hyper2kvm_said_it() -> None:
    with pytest.raises(RootNotFoundError, match="stage fix failed"):
        shown(reading(None))


def test_the_boot_disk_has_a_letter_in_the_manifest_s_order() -> None:
    def name(boot: int) -> str:
        orders = [0 if number == boot else 1 for number in range(28)]
        return appliance_name(
            tuple(SourceDisk(str(n), Path("x"), "raw", order) for n, order in enumerate(orders))
        )

    names = [name(boot) for boot in (0, 1, 25, 26, 27)]
    assert names == ["/dev/sda", "/dev/sdb", "/dev/sdz", "/dev/sdaa", "/dev/sdab"]
