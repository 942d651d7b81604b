# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""On answers as qemu-ga 7.2 gives them; the program itself answers in tests/system."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.agent import Agent


@pytest.fixture
def agent() -> Iterator[Agent]:
    made = Agent()
    yield made
    made.close()


@pytest.fixture
def guest(agent: Agent) -> Iterator[socket.socket]:
    with socket.socket(fileno=os.dup(agent.descriptor)) as end:
        end.setblocking(False)
        yield end


def asked(guest: socket.socket) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in guest.recv(65536).splitlines()]
    except BlockingIOError:
        return []


def test_all_that_it_tells(agent: Agent, guest: socket.socket) -> None:
    agent.turn(0.0)
    agent.turn(1.0)
    agent.turn(2.5)
    questions = asked(guest)
    assert [question["execute"] for question in questions] == ["guest-sync"] * 2
    assert not agent.up
    guest.send(b'{"error": {"class": "GenericError", "desc": "JSON parse error"}}\n{"return": 1}\n')
    agent.turn(3.0)
    assert agent.up
    assert not agent.has_told(3.0)
    # An answer to an earlier try comes between.
    guest.send(b'{"return": 2}\n')
    told = {
        "guest-info": {"version": "7.2.22"},
        "guest-get-osinfo": {"pretty-name": "Debian GNU/Linux 12 (bookworm)"},
        "guest-network-get-interfaces": [
            {"name": "lo", "ip-addresses": [{"ip-address": "127.0.0.1"}]},
            {"name": "eth0", "ip-addresses": [{"ip-address": "192.0.2.10"}]},
            {"name": "eth1"},
        ],
    }
    for name, value in told.items():
        agent.turn(3.1)
        [question] = asked(guest)
        assert question == {"execute": name, "id": name}
        text = json.dumps({"return": value, "id": name}).encode() + b"\n"
        guest.send(text[:20])
        agent.turn(3.2)
        guest.send(text[20:])
        agent.turn(3.3)
    assert agent.has_told(3.3)
    assert (agent.facts.version, agent.facts.addresses) == ("7.2.22", ["192.0.2.10"])
    assert agent.facts.os == "Debian GNU/Linux 12 (bookworm)"


def test_one_that_answers_no_more(agent: Agent, guest: socket.socket) -> None:
    agent.turn(0.0)
    guest.send(b'[]\nno json\n{"return": 7}\n')
    agent.turn(0.1)
    assert not agent.up  # Nobody has asked a seventh time.
    guest.send(b'{"return": 1}\n')
    agent.turn(0.2)
    assert not agent.has_told(5.0)
    assert agent.has_told(11.0)
