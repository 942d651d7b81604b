# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guests' mirror is the one that apt is configured with, in whichever form."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.guests import mirror

DEB822 = """\
Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main

# the archive
Types: deb deb-src
# commented: yes
URIs: http://archive.example/debian/
Suites: bookworm bookworm-updates
Components: main contrib
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("HYPER2KVM_TEST_MIRROR", raising=False)
    monkeypatch.setattr(mirror, "_proxy", lambda: "")
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def test_a_deb822_source_is_found_behind_others(apt: Path) -> None:
    (apt / "sources.list.d/debian.sources").write_text(DEB822)
    assert mirror.configured(apt).uri == "http://archive.example/debian"


def test_a_disabled_source_does_not_count(apt: Path) -> None:
    text = DEB822 + "Enabled: no\n"
    (apt / "sources.list.d/debian.sources").write_text(text)
    with pytest.raises(LookupError, match="HYPER2KVM_TEST_MIRROR"):
        mirror.configured(apt)


def test_a_line_of_sources_list_is_found_behind_others(apt: Path) -> None:
    (apt / "sources.list").write_text(
        "# deb http://commented.example/debian bookworm main\n"
        "deb cdrom:[Debian 12]/ bookworm main\n"
        "deb http://other.example/apt cloud-sdk-bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://lines.example/debian bookworm main\n"
    )
    assert mirror.configured(apt).uri == "http://lines.example/debian"


def test_a_list_of_mirrors_is_followed(apt: Path) -> None:
    (apt / "mirrors.list").write_text("https://first.example/debian\nhttps://second.example\n")
    uri = f"mirror+file:{apt / 'mirrors.list'}"
    (apt / "sources.list").write_text(f"deb {uri} bookworm main\n")
    assert mirror.configured(apt).uri == "https://first.example/debian"


def test_the_users_own_mirror_comes_first(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPER2KVM_TEST_MIRROR", "http://own.example/debian")
    assert mirror.configured(apt).uri == "http://own.example/debian"
