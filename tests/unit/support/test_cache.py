# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cache of what tests build: keys, and entries that appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.support.cache import built, cache_dir, keyed


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HYPER2KVM_TEST_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_directories_of_the_cache_are_made(own_cache: Path) -> None:
    assert cache_dir("a", "b") == own_cache / "a" / "b"
    assert (own_cache / "a" / "b").is_dir()


def test_the_key_follows_the_contents(tmp_path: Path) -> None:
    source = tmp_path / "sources"
    source.mkdir()
    (source / "one.py").write_text("1")
    first = keyed("thing", source, "parameter")
    assert first == keyed("thing", source, "parameter")
    assert first != keyed("thing", source, "other")
    (source / "one.py").write_text("2")
    assert first != keyed("thing", source, "parameter")


def test_inputs_do_not_run_together() -> None:
    assert keyed("thing", "ab", "c") != keyed("thing", "a", "bc")


def test_an_entry_is_built_once() -> None:
    calls = []

    def build(work: Path) -> None:
        calls.append(work)
        (work / "file").write_text("made")

    place = keyed("thing", "1")
    assert built(place, build) == built(place, build) == place
    assert (place / "file").read_text() == "made"
    assert len(calls) == 1


def test_a_failed_build_leaves_nothing(own_cache: Path) -> None:
    def build(work: Path) -> None:
        (work / "half").write_text("")
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        built(keyed("thing", "1"), build)
    assert [entry.name for entry in own_cache.iterdir()] == ["locks"]


def test_what_an_interrupted_build_left_is_removed(own_cache: Path) -> None:
    place = keyed("thing", "1")
    stale = own_cache / f".{place.name}.building-killed"
    stale.mkdir()
    built(place, lambda work: None)
    assert not stale.exists()
