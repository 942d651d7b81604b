# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest of one sector: it does a few things and says a text on its first serial port.

It is real code for a real BIOS, which QEMU boots in a second or two without KVM.
So what a boot check makes of a console, and of a guest that writes, can be tried
often. 8086 instructions; the BIOS's disk services (INT 13h) read and write.
"""

from __future__ import annotations

import struct
from pathlib import Path

_SECTOR = 512
_ORIGIN = 0x7C00
_BUFFER = 0x7E00
_SIZE = 1 << 20

_PLACE = b"\xde\xc0"  # where the text's address goes
_SET_UP = bytes.fromhex("31c0 8ed8 8ec0 8ed0 bc007c")  # ds = es = ss = 0, sp below the code
# SeaBIOS repeats its screen on the serial port a few characters a timer tick: let it finish, or
# its last ones get between ours. cx = 10; sti; hlt until the next tick, ten times.
_WAIT = bytes.fromhex("b90a00 fb f4 e2fd")
_HALT = bytes.fromhex("f4 ebfd")  # hlt, and again

# al = a byte to send: wait until the transmitter is empty, then send, until a zero byte.
_PRINT_SI = bytes.fromhex("ac 84c0 7412 88c3 bafd03 ec a820 74fb 88d8 baf803 ee ebe9")

# The power management register of QEMU's q35 as SeaBIOS sets it up: SLP_EN, type 0.
_POWER_OFF = bytes.fromhex("ba0406 b80020 ef")


def disk(
    path: Path,
    text: str = "",
    *,
    write_to_disk: bool = False,
    print_second_disk: bool = False,
    power_off: bool = False,
) -> Path:
    """Write a raw disk image of 1 MiB with such a guest and return its path.

    Args:
        path: The image.
        text: What it says on the serial port.
        write_to_disk: Overwrite the disk's second sector first; if that fails it says nothing.
        print_second_disk: Then say what the second disk begins with.
        power_off: Switch the machine off at the end instead of halting.
    """
    code = _SET_UP + _WAIT
    if write_to_disk:
        # ah = 3 (write), al = 1 sector; from es:bx; cylinder 0, sector 2; drive 80h.
        code += bytes.fromhex("b80103 bb007c b90200 ba8000 cd13")
        code += b"\x73\x03" + _HALT  # jnc over the halt
    code += b"\xbe" + _PLACE + _PRINT_SI
    if print_second_disk:
        # ah = 2 (read), al = 1 sector; to es:bx; cylinder 0, sector 1; drive 81h.
        code += b"\xb8\x01\x02\xbb" + struct.pack("<H", _BUFFER)
        code += bytes.fromhex("b90100 ba8100 cd13")
        code += b"\xbe" + struct.pack("<H", _BUFFER) + _PRINT_SI
    code += (_POWER_OFF if power_off else b"") + _HALT
    address = _ORIGIN + len(code)
    code = code.replace(_PLACE, struct.pack("<H", address), 1)
    sector = code + text.encode() + b"\0"
    assert len(sector) <= _SECTOR - 2, "the text is too long for a boot sector"
    image = sector.ljust(_SECTOR - 2, b"\0") + b"\x55\xaa"
    path.write_bytes(image.ljust(_SIZE, b"\0"))
    return path
