# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""On descriptions like those of Debian's ovmf, which has three of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.errors import BootCheckError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.firmware import find_uefi


@pytest.fixture
def share(tmp_path: Path) -> Path:
    directory = tmp_path / "share"
    directory.mkdir()
    for name in ("CODE.fd", "VARS.fd", "CODE.secboot.fd"):
        (tmp_path / name).touch()
    return directory


def describe(directory: Path, name: str, **changes: Any) -> None:
    root = directory.parent
    description: dict[str, Any] = {
        "interface-types": ["uefi"],
        "mapping": {
            "device": "flash",
            "executable": {"filename": str(root / "CODE.fd"), "format": "raw"},
            "nvram-template": {"filename": str(root / "VARS.fd"), "format": "raw"},
        },
        "targets": [{"architecture": "x86_64", "machines": ["pc-q35-*"]}],
        "features": ["acpi-s3"],
    }
    description.update(changes)
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(json.dumps(description))


def test_the_first_that_needs_no_secure_boot(share: Path, tmp_path: Path) -> None:
    describe(share, "40-enrolled.json", features=["secure-boot", "requires-smm", "enrolled-keys"])
    describe(share, "60-plain.json")
    describe(share, "70-later.json", mapping={"device": "memory"})
    firmware = find_uefi([share], [])
    assert firmware.code == tmp_path / "CODE.fd"
    assert firmware.variables == tmp_path / "VARS.fd"


def test_the_one_that_enforces_secure_boot(share: Path, tmp_path: Path) -> None:
    describe(share, "50-secure.json", features=["secure-boot", "requires-smm"])
    describe(share, "55-tests.json", features=["enrolled-keys"])
    describe(share, "60-plain.json")
    with pytest.raises(BootCheckError, match="with enrolled keys"):
        find_uefi([share], [], secure_boot=True)
    enrolled = {"filename": str(tmp_path / "CODE.secboot.fd"), "format": "qcow2"}
    store = {"filename": str(tmp_path / "VARS.fd"), "format": "qcow2"}
    describe(
        share,
        "70-enrolled.json",
        features=["secure-boot", "requires-smm", "enrolled-keys"],
        mapping={"device": "flash", "executable": enrolled, "nvram-template": store},
    )
    firmware = find_uefi([share], [], secure_boot=True)
    assert firmware.code.name == "CODE.secboot.fd"
    assert (firmware.smm, firmware.secure_boot, firmware.code_format) == (True, True, "qcow2")


def test_one_without_keys_enforces_nothing_and_comes_last(share: Path) -> None:
    describe(share, "50-secure.json", features=["secure-boot", "requires-smm"])
    only = find_uefi([share], [])
    assert (only.smm, only.secure_boot) == (True, False)
    describe(share, "60-plain.json")
    assert find_uefi([share], []).smm is False


def test_an_administrator_s_file_hides_the_distribution_s(share: Path) -> None:
    describe(share, "60-plain.json")
    etc = share.parent / "etc"
    etc.mkdir()
    (etc / "60-plain.json").touch()
    with pytest.raises(BootCheckError, match="ovmf"):
        find_uefi([etc, share], [])


@pytest.mark.parametrize(
    "changes",
    [
        {"interface-types": ["bios"]},
        {"targets": [{"architecture": "aarch64"}]},
        {"mapping": {"device": "flash", "executable": {"filename": "/x", "format": "raw"}}},
    ],
)
def test_what_does_not_fit(changes: dict[str, Any], share: Path) -> None:
    describe(share, "60-plain.json", **changes)
    with pytest.raises(BootCheckError):
        find_uefi([share], [])


def test_files_that_nobody_describes(share: Path, tmp_path: Path) -> None:
    code, variables = str(tmp_path / "CODE.fd"), str(tmp_path / "VARS.fd")
    assert find_uefi([share], [("/no", "/no"), (code, variables)]).code == Path(code)


def test_files_that_nobody_describes_with_keys(share: Path, tmp_path: Path) -> None:
    code, variables = str(tmp_path / "CODE.secboot.fd"), str(tmp_path / "VARS.fd")
    firmware = find_uefi([share], [(code, variables)], secure_boot=True)
    assert (firmware.smm, firmware.secure_boot) == (True, True)


def test_none() -> None:
    with pytest.raises(BootCheckError, match="Install the package ovmf"):
        find_uefi([], [])
