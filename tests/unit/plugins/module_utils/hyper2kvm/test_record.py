# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.record import (
    Output,
    file_checksum,
    fingerprint,
    load_record,
    save_record,
)

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk-0.qcow2"
    path.write_bytes(b"QFI\xfb" * 1024)
    return path


@pytest.fixture
def record(image: Path) -> Path:
    output = Output("disk-0", str(image), "qcow2", 4096, 1 << 20, file_checksum(image))
    path = image.parent / "conversion.json"
    save_record(path, "f" * 64, [output], {"fixed": True})
    return path


def test_the_same_again(record: Path, image: Path) -> None:
    result = load_record(record, "f" * 64)
    assert result is not None
    assert result["fixed"] is True
    assert result["outputs"][0]["path"] == str(image)
    assert result["outputs"][0]["virtual_size"] == 1 << 20


def test_something_else_was_asked_for(record: Path) -> None:
    assert load_record(record, "e" * 64) is None


def test_an_output_that_is_gone(record: Path, image: Path) -> None:
    image.unlink()
    assert load_record(record, "f" * 64) is None


def test_an_output_of_another_size(record: Path, image: Path) -> None:
    image.write_bytes(b"short")
    assert load_record(record, "f" * 64) is None


def test_an_output_that_was_only_touched(record: Path, image: Path) -> None:
    os.utime(image)
    assert load_record(record, "f" * 64) is not None


def test_an_output_of_other_content(record: Path, image: Path) -> None:
    image.write_bytes(b"QFI\xfa" * 1024)
    assert load_record(record, "f" * 64) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": 2}', '{"version": 1}'])
def test_a_record_that_can_t_be_read(text: str, tmp_path: Path) -> None:
    path = tmp_path / "conversion.json"
    path.write_text(text)
    assert load_record(path, "f" * 64) is None


def test_no_record(tmp_path: Path) -> None:
    assert load_record(tmp_path / "conversion.json", "f" * 64) is None


def test_the_fingerprint_tells_inputs_apart() -> None:
    assert fingerprint(a=1, b=[2]) == fingerprint(b=[2], a=1)
    assert fingerprint(a=1) != fingerprint(a=2)


def test_checksum_in_the_manifest_s_form(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert file_checksum(path) == EMPTY
