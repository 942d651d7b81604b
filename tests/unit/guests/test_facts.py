# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.hypersdk.hyper2kvm.tests.guests import facts

CONSOLE = """\
[    3.1] something of the kernel's\r
GUEST-FACT mount / /dev/vda1 ext4 rw,relatime\r
GUEST-FACT failed a.service\r
GUEST-FACT mount /srv/data /dev/vdb1 ext4 rw\r
GUEST-FACT data 12ab  ./Ümläute und Leerzeichen/größe.txt\r
GUEST-FACT end \r

web01 login: \
"""


def test_facts_are_read_by_kind() -> None:
    told = facts.told(CONSOLE)
    assert told["mount"] == ["/ /dev/vda1 ext4 rw,relatime", "/srv/data /dev/vdb1 ext4 rw"]
    assert told["failed"] == ["a.service"]
    assert "end" in told


def test_data_files_have_their_whole_names() -> None:
    files = facts.data_files(facts.told(CONSOLE))
    assert files == {"Ümläute und Leerzeichen/größe.txt": "12ab"}


def test_a_console_without_facts_tells_nothing() -> None:
    assert facts.told("web01 login: ") == {}
    assert facts.data_files({}) == {}
