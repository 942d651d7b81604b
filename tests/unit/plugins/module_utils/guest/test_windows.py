# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a driver of Windows counts. That a registry is read right is for the system tests."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest import windows

GOOD: dict[str, Any] = {
    "service": True,
    "start": 0,
    "group": "SCSI miniport",
    "image_path": r"System32\drivers\viostor.sys",
    "file": True,
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"service": False}, "no service entry"),
        ({"start": 3}, "Start=3"),
        ({"start": None}, "Start=None"),
        ({"image_path": ""}, "no ImagePath"),
        ({"group": ""}, "no Group"),
        ({"file": False}, "does not exist"),
    ],
)
def test_what_a_driver_needs(change: dict[str, Any], said: str) -> None:
    problem = windows.problem({**GOOD, **change})
    assert said in problem
    assert bool(said) == bool(problem)


@pytest.mark.parametrize(
    "image_path",
    [
        r"system32\drivers\viostor.sys",
        r"\SystemRoot\system32\drivers\viostor.sys",
        r"%SystemRoot%\system32\drivers\viostor.sys",
        r"\??\C:\Windows\system32\drivers\viostor.sys",
    ],
)
def test_the_file_of_a_driver(image_path: str) -> None:
    path = windows._file_of(image_path, "viostor")
    assert path.lower() == "/windows/system32/drivers/viostor.sys"


def test_without_a_path_it_is_the_usual_one() -> None:
    assert windows._file_of("", "viostor") == "/Windows/System32/drivers/viostor.sys"
