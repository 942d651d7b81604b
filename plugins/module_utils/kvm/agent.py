# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The QEMU guest agent, as much of its protocol as a boot check needs (docs/interop/qemu-ga-ref).

The guest's end of the channel may not be there for minutes, and what was said
meanwhile arrives all at once. So each try has a number, and an answer to any of
them shows that the agent is up.
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field
from typing import Any

_ASK_EVERY = 2.0
# How long the agent may take to tell about the guest once it is up, in seconds.
_TELL_TIMEOUT = 10.0
_LONGEST = 1 << 20
_QUESTIONS = ("guest-info", "guest-get-osinfo", "guest-network-get-interfaces")


@dataclass
class AgentFacts:
    """What the agent told."""

    version: str = ""
    os: str = ""
    addresses: list[str] = field(default_factory=list)


class Agent:
    """Our end of the agent's channel; turn() has to be called often.

    Attributes:
        up: Whether the agent has answered.
        facts: What it told since.
    """

    def __init__(self) -> None:
        self.up = False
        self.facts = AgentFacts()
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._ours.setblocking(False)
        self._received = b""
        self._asked: float | None = None
        self._number = 0
        self._up_since = 0.0
        self._waiting: list[str] = []

    @property
    def descriptor(self) -> int:
        """The socket that QEMU is to have."""
        return self._theirs.fileno()

    def started(self) -> None:
        """QEMU has its end now."""
        self._theirs.close()

    def close(self) -> None:
        """Close the channel."""
        self._ours.close()
        self._theirs.close()

    def has_told(self, now: float) -> bool:
        """Whether it has said all that it was asked, or has had its time."""
        return self.up and (not self._waiting or now - self._up_since >= _TELL_TIMEOUT)

    def turn(self, now: float) -> None:
        """Ask what is due, and take what came."""
        if not self.up and (self._asked is None or now - self._asked >= _ASK_EVERY):
            self._asked = now
            self._number += 1
            self._say({"execute": "guest-sync", "arguments": {"id": self._number}})
        self._receive()
        *lines, self._received = self._received.split(b"\n")
        for line in lines:
            self._take(line, now)

    def _receive(self) -> None:
        try:
            self._received += self._ours.recv(65536)
        except OSError:
            return  # Nothing is there, or QEMU has ended.
        if len(self._received) > _LONGEST:
            self._received = b""

    def _take(self, line: bytes, now: float) -> None:
        try:
            answer = json.loads(line)
        except ValueError:
            return
        if not isinstance(answer, dict) or not answer.keys() & {"return", "error"}:
            return
        told = answer.get("return")
        if isinstance(told, int) and not self.up and 0 < told <= self._number:
            # The answer to a guest-sync is its number.
            self.up = True
            self._up_since = now
            self._waiting = list(_QUESTIONS)
            self._ask()
        elif self._waiting and answer.get("id") == self._waiting[0]:
            self._note(self._waiting.pop(0), told)
            self._ask()

    def _ask(self) -> None:
        """Ask the next question; its answer is told from others by the id, which comes back."""
        if self._waiting:
            self._say({"execute": self._waiting[0], "id": self._waiting[0]})

    def _note(self, question: str, told: Any) -> None:
        facts = self.facts
        if question == "guest-info" and isinstance(told, dict):
            facts.version = str(told.get("version", ""))
        elif question == "guest-get-osinfo" and isinstance(told, dict):
            facts.os = str(told.get("pretty-name") or told.get("name") or "")
        elif question == "guest-network-get-interfaces" and isinstance(told, list):
            facts.addresses = sorted(
                str(address.get("ip-address"))
                for interface in told
                if isinstance(interface, dict) and interface.get("name") != "lo"
                for address in interface.get("ip-addresses") or []
                if isinstance(address, dict)
            )

    def _say(self, question: dict[str, Any]) -> None:
        try:
            self._ours.send(json.dumps(question).encode() + b"\n")
        except OSError:
            return  # The channel is full of questions, or QEMU has ended.
