# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whichever library decompresses, the outcome is the same."""

from __future__ import annotations

import zlib

import deflate
import pytest
from isal import isal_zlib

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vmdk import inflate as module
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vmdk.header import VmdkError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vmdk.inflate import inflate
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.vmdk.stream import Grain

GRAIN = 65536
DATA = bytes(range(256)) * 256
ENGINES = {
    "libdeflate": (deflate.zlib_decompress, isal_zlib),
    "libdeflate, zlib": (deflate.zlib_decompress, zlib),
    "isal": (None, isal_zlib),
    "zlib": (None, zlib),
}


@pytest.fixture(autouse=True, params=ENGINES)
def _engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, engine = ENGINES[request.param]
    monkeypatch.setattr(module, "_at_once", at_once)
    monkeypatch.setattr(module, "_engine", engine)


def grain(data: bytes) -> Grain:
    return Grain(0, data, 512)


@pytest.mark.parametrize("level", [0, 1, 9])
def test_a_whole_grain(level: int) -> None:
    assert inflate(grain(zlib.compress(DATA, level)), GRAIN, GRAIN) == DATA


@pytest.mark.parametrize("written", [GRAIN, 1024])
def test_a_last_grain_may_be_cut_or_not(written: int) -> None:
    assert inflate(grain(zlib.compress(DATA[:written])), GRAIN, 1024) == DATA[:1024]


@pytest.mark.parametrize("length", [0, 1, GRAIN - 1, GRAIN + 1, 50 << 20])
def test_more_or_less_than_a_grain_is_refused(length: int) -> None:
    with pytest.raises(VmdkError, match="at byte 512: a grain doesn't hold 65536 bytes"):
        inflate(grain(zlib.compress(bytes(length))), GRAIN, GRAIN)


def test_a_wrong_checksum_is_found() -> None:
    data = bytearray(zlib.compress(DATA))
    data[-1] ^= 1
    with pytest.raises(VmdkError, match="at byte 512: a grain can't be decompressed"):
        inflate(grain(bytes(data)), GRAIN, GRAIN)


@pytest.mark.parametrize("kept", [0, 1, 2, 10, -5, -1])
def test_a_cut_stream_is_found(kept: int) -> None:
    with pytest.raises(VmdkError, match="at byte 512"):
        inflate(grain(zlib.compress(DATA)[:kept]), GRAIN, GRAIN)


def test_what_is_no_zlib_stream_is_found() -> None:
    with pytest.raises(VmdkError, match="at byte 512: a grain can't be decompressed"):
        inflate(grain(b"no zlib stream"), GRAIN, GRAIN)
