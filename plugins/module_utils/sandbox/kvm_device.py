# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether this host's KVM really works.

/dev/kvm may exist and fail: in containers that only pass the device node, in
VMs without nested virtualization. It has also been seen (kvm_pvm, in a cloud's
micro VM) to create VMs and virtual CPUs and to emulate simple instructions, while
QEMU hangs or aborts. So a virtual CPU has to run code here that only a processor
can run: a floating-point instruction, which KVM's own emulator does not have,
then a write to an I/O port, for which the exit must come back.

Numbers and layouts: linux/kvm.h and asm/kvm.h of x86, stable ABI.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import platform
import signal
import struct
import time
from pathlib import Path

KVM_DEVICE = Path("/dev/kvm")

_KVM_GET_API_VERSION = 0xAE00
_KVM_CREATE_VM = 0xAE01
_KVM_GET_VCPU_MMAP_SIZE = 0xAE04
_KVM_CREATE_VCPU = 0xAE41
_KVM_SET_USER_MEMORY_REGION = 0x4020AE46
_KVM_RUN = 0xAE80
_KVM_SET_REGS = 0x4090AE82
_KVM_GET_SREGS = 0x8138AE83
_KVM_SET_SREGS = 0x4138AE84

_API_VERSION = 12
_SREGS_SIZE = 0x138
_EXIT_IO = 2
# struct kvm_run: request_interrupt_window, immediate_exit, padding (8 bytes), exit_reason.
_EXIT_REASON = struct.Struct("<8xI")

# fld1; fstp st(0); mov dx, 0x10; out dx, al; hlt: 16-bit code at this guest address.
_CODE = b"\xd9\xe8\xdd\xd8\xba\x10\x00\xee\xf4"
_CODE_ADDRESS = 0x1000
_PROBE_TIMEOUT = 2.0


def kvm_works(device: Path = KVM_DEVICE) -> bool:
    """Return whether a virtual CPU made through *device* executes instructions.

    The trial runs in a process of its own, since a broken KVM may not return
    from it; it takes a few milliseconds where KVM works, at most 2 seconds.
    """
    if not os.access(device, os.R_OK | os.W_OK):
        return False
    child = os.fork()
    if child == 0:
        _probe_and_exit(device)
    deadline = time.monotonic() + _PROBE_TIMEOUT
    try:
        while time.monotonic() < deadline:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                child = 0
                return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
            time.sleep(0.002)
        return False
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _probe_and_exit(device: Path) -> None:
    works = False
    try:
        works = _executes(device)
    finally:
        # Whatever was raised: nothing of the parent's unwinding may run here.
        os._exit(0 if works else 1)


def _executes(device: Path) -> bool:
    kvm = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    if fcntl.ioctl(kvm, _KVM_GET_API_VERSION, 0) != _API_VERSION:
        return False
    machine = fcntl.ioctl(kvm, _KVM_CREATE_VM, 0)
    if platform.machine() not in ("x86_64", "AMD64"):
        return True
    memory = mmap.mmap(-1, mmap.PAGESIZE)
    memory[: len(_CODE)] = _CODE
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    region = struct.pack("<IIQQQ", 0, 0, _CODE_ADDRESS, mmap.PAGESIZE, address)
    fcntl.ioctl(machine, _KVM_SET_USER_MEMORY_REGION, region)
    processor = fcntl.ioctl(machine, _KVM_CREATE_VCPU, 0)
    run = mmap.mmap(processor, fcntl.ioctl(kvm, _KVM_GET_VCPU_MMAP_SIZE, 0))
    # The code segment comes first: base at 0, selector at 12; at reset it points below 4 GiB.
    segments = bytearray(_SREGS_SIZE)
    fcntl.ioctl(processor, _KVM_GET_SREGS, segments)
    struct.pack_into("<Q", segments, 0, 0)
    struct.pack_into("<H", segments, 12, 0)
    fcntl.ioctl(processor, _KVM_SET_SREGS, bytes(segments))
    # Sixteen general registers, then rip and rflags (bit 1 is always set).
    fcntl.ioctl(processor, _KVM_SET_REGS, struct.pack("<16QQQ", *[0] * 16, _CODE_ADDRESS, 2))
    fcntl.ioctl(processor, _KVM_RUN, 0)
    (reason,) = _EXIT_REASON.unpack_from(run)
    return bool(reason == _EXIT_IO)
