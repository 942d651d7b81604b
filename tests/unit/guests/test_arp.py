# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.guests import arp

MAC = bytes.fromhex("0050568a2001")
ADDRESS = "203.0.113.10/24"


def reply(vlan: int = 30, sender: bytes = bytes([203, 0, 113, 10]), operation: int = 2) -> bytes:
    tag = struct.pack("!HH", 0x8100, vlan) if vlan else b""
    ethernet = bytes(6) + MAC + tag + struct.pack("!H", 0x0806)
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + MAC + sender + bytes(10)
    return (ethernet + body).ljust(64, b"\0")


def test_the_request_is_a_tagged_broadcast_for_the_address() -> None:
    frame = arp.request(ADDRESS, 30)
    assert frame[:6] == b"\xff" * 6
    assert struct.unpack_from("!HHH", frame, 12) == (0x8100, 30, 0x0806)
    assert struct.unpack_from("!H", frame, 24) == (1,)
    assert frame[32:36] == bytes([203, 0, 113, 254])
    assert frame[42:46] == bytes([203, 0, 113, 10])


def test_outside_of_a_vlan_nothing_is_tagged() -> None:
    frame = arp.request(ADDRESS, 0)
    assert struct.unpack_from("!H", frame, 12) == (0x0806,)
    assert frame[38:42] == bytes([203, 0, 113, 10])
    assert arp.replier(reply(vlan=0), ADDRESS, 0) == "00:50:56:8a:20:01"
    assert arp.replier(reply(), ADDRESS, 0) is None


def test_a_reply_names_who_has_the_address() -> None:
    assert arp.replier(reply(), ADDRESS, 30) == "00:50:56:8a:20:01"


@pytest.mark.parametrize(
    "frame",
    [
        reply(vlan=31),
        reply(vlan=0),
        reply(sender=bytes([203, 0, 113, 11])),
        reply(operation=1),
        arp.request(ADDRESS, 30),
        reply()[:40],
        b"",
    ],
)
def test_other_frames_name_nobody(frame: bytes) -> None:
    assert arp.replier(frame, ADDRESS, 30) is None


def sockets(tmp_path: Path) -> tuple[socket.socket, socket.socket]:
    made = []
    for name in ("ours", "guest"):
        made.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        made[-1].bind(str(tmp_path / name))
    return made[0], made[1]


def test_asking_takes_the_reply_among_other_frames(tmp_path: Path) -> None:
    ours, guest = sockets(tmp_path)

    def answer() -> None:
        assert guest.recv(2000) == arp.request(ADDRESS, 30)
        for frame in (reply(vlan=31), b"", reply()):
            guest.sendto(frame, str(tmp_path / "ours"))

    with ours, guest:
        thread = threading.Thread(target=answer)
        thread.start()
        assert arp.ask(ours, tmp_path / "guest", ADDRESS, 30, 10) == "00:50:56:8a:20:01"
        thread.join()


def test_asking_gives_up(tmp_path: Path) -> None:
    ours, guest = sockets(tmp_path)
    with ours, guest, pytest.raises(TimeoutError, match=r"203\.0\.113\.10"):
        arp.ask(ours, tmp_path / "guest", ADDRESS, 30, 1.2)
