# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.atomic import write_text


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.parametrize(("mode", "expected"), [(None, 0o640), (0o600, 0o600), (0o664, 0o664)])
def test_permissions(tmp_path: Path, mode: int | None, expected: int) -> None:
    path = tmp_path / "file"
    for text in ("old", "new"):
        write_text(path, text, mode)
        assert path.read_text() == text
        assert stat.S_IMODE(path.stat().st_mode) == expected
    assert os.listdir(tmp_path) == ["file"]


def test_what_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]
    with pytest.raises(FileNotFoundError):
        write_text(tmp_path / "none" / "file", "")


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("untouched")
    (tmp_path / "link").symlink_to(target)
    write_text(tmp_path / "link", "new")
    assert target.read_text() == "untouched" and not (tmp_path / "link").is_symlink()


def test_what_lies_where_it_would_write_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    target.write_text("untouched")
    monkeypatch.setattr("secrets.token_hex", lambda _length: "guessed")
    (tmp_path / ".file.guessed.part").symlink_to(target)
    with pytest.raises(FileExistsError):
        write_text(tmp_path / "file", "new")
    assert target.read_text() == "untouched"
