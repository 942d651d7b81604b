# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.disks import (
    converted_disks,
    given_disks,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.errors import BootCheckError

DOCUMENT: dict[str, Any] = {
    "disks": [{"id": "disk-0", "boot_order_hint": 1}, {"id": "disk-1", "boot_order_hint": 0}]
}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    outputs = []
    for name in ("disk-1", "disk-0"):
        path = tmp_path / f"{name}.qcow2"
        path.touch()
        outputs.append({"id": name, "path": str(path)})
    (tmp_path / "conversion.json").write_text(json.dumps({"outputs": outputs}))
    return tmp_path


def test_in_the_manifest_s_order_with_its_boot_disk(out: Path) -> None:
    disks, boot_index = converted_disks(DOCUMENT, out)
    assert [disk.path.name for disk in disks] == ["disk-0.qcow2", "disk-1.qcow2"]
    assert boot_index == 1


def test_not_converted(tmp_path: Path) -> None:
    with pytest.raises(BootCheckError, match="Run hyper2kvm_convert first"):
        converted_disks(DOCUMENT, tmp_path)


def test_an_image_that_is_gone(out: Path) -> None:
    (out / "disk-0.qcow2").unlink()
    with pytest.raises(BootCheckError, match=r"disk-0\.qcow2 does not exist"):
        converted_disks(DOCUMENT, out)


def test_a_disk_that_was_not_converted(out: Path) -> None:
    document = {"disks": [*DOCUMENT["disks"], {"id": "disk-2"}]}
    with pytest.raises(BootCheckError, match="disk-2"):
        converted_disks(document, out)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"outputs": [{}]}'])
def test_a_record_that_can_t_be_read(text: str, out: Path) -> None:
    (out / "conversion.json").write_text(text)
    with pytest.raises(BootCheckError, match="can't be read"):
        converted_disks(DOCUMENT, out)


def test_images_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.touch()
    assert given_disks([path])[0].format == "raw"
    with pytest.raises(BootCheckError, match=r"b\.raw does not exist"):
        given_disks([tmp_path / "b.raw"])
