# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.writeback import Writeback

MIB = 1 << 20


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    monkeypatch.setattr(
        os, "posix_fadvise", lambda _file, start, length, _advice: ranges.append((start, length))
    )
    return ranges


def test_every_byte_is_asked_for_once_in_large_ranges(asked: list[tuple[int, int]]) -> None:
    writeback = Writeback(0)
    for end in range(0, 100 * MIB, MIB):
        writeback.reached(end)
    assert asked == [(0, 32 * MIB), (32 * MIB, 32 * MIB), (64 * MIB, 32 * MIB)]


def test_a_file_that_is_not_written_in_order_is_no_error(asked: list[tuple[int, int]]) -> None:
    writeback = Writeback(0)
    for end in (40 * MIB, 8 * MIB, 80 * MIB):
        writeback.reached(end)
    assert asked == [(0, 40 * MIB), (40 * MIB, 40 * MIB)]


def test_a_wish_that_is_refused_is_no_error() -> None:
    reader, writer = os.pipe()
    try:
        Writeback(writer).reached(32 * MIB)  # a pipe has no pages on a disk
    finally:
        os.close(reader)
        os.close(writer)
