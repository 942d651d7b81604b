# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files in an initramfs.

An initramfs is one or more cpio archives (form "newc") one after the other, each plain or
compressed, with zeros between them: Documentation/driver-api/early-userspace/buffer-format.rst of
the Linux kernel. Distributions put a plain one with the processor's microcode in front and
compress the rest; dracut and Debian 13 put modules that are compressed already into a plain one
too.
"""

from __future__ import annotations

import bz2
import lzma
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterator

from ...errors import Hyper2KvmError

_CPIO_MAGIC = (b"070701", b"070702")
_HEADER = 110
_TRAILER = "TRAILER!!!"
# A guest's initramfs is its own; no more of it than this is unpacked, in bytes.
_LIMIT = 2 * 1024 * 1024 * 1024
# Seconds that a program may take to decompress one.
_TIMEOUT = 300.0

# How a compressed archive begins, and the program that decompresses it from its standard input.
# "lz4 -l" writes the legacy frame that the kernel reads.
_PROGRAMS = {
    b"\x28\xb5\x2f\xfd": ("zstd", "-dcq"),
    b"\x02\x21\x4c\x18": ("lz4", "-dcq"),
    b"\x04\x22\x4d\x18": ("lz4", "-dcq"),
    b"\x89LZO": ("lzop", "-dcq"),
}


class InitramfsError(Hyper2KvmError):
    """An initramfs can't be read."""


class DecompressorMissing(InitramfsError):
    """It is compressed in a way for which a program is needed that is not installed."""


def list_files(image: bytes) -> dict[str, int]:
    """Return the size, in bytes, of each file in an initramfs by its path.

    A path has no leading slash or "./".

    Args:
        image: All of it.

    Raises:
        DecompressorMissing: See there.
        InitramfsError: It is damaged, or of no form that the kernel reads.
    """
    sizes: dict[str, int] = {}
    for archive in _archives(image):
        sizes.update(archive)
    return sizes


def _archives(image: bytes) -> Iterator[dict[str, int]]:
    position = 0
    found = False
    while True:
        position = _skip_zeros(image, position)
        if position >= len(image):
            break
        if image[position : position + 6] in _CPIO_MAGIC:
            files, position = _files(image, position)
            yield files
        else:
            content, position = _decompress(image, position)
            yield from _archives(content)
        found = True
    if not found:
        raise InitramfsError("It is empty.")


def _skip_zeros(image: bytes, position: int) -> int:
    while image[position : position + 4096] == bytes(4096):
        position += 4096
    while position < len(image) and image[position] == 0:
        position += 1
    return position


def _files(image: bytes, position: int) -> tuple[dict[str, int], int]:
    """Return the sizes of the files in the archive at *position*, and where it ends."""
    sizes: dict[str, int] = {}
    while True:
        header = image[position : position + _HEADER]
        if len(header) < _HEADER or header[:6] not in _CPIO_MAGIC:
            raise InitramfsError("A cpio archive in it ends early.")
        try:
            size, name_size = int(header[54:62], 16), int(header[94:102], 16)
        except ValueError as error:
            raise InitramfsError("A cpio archive in it is damaged.") from error
        start = position + _HEADER
        name = image[start : start + max(name_size - 1, 0)].decode("utf-8", errors="replace")
        # Name and content are each padded to a multiple of four bytes.
        content = _padded(start + name_size)
        position = _padded(content + size)
        if name == _TRAILER:
            return sizes, min(position, len(image))
        sizes[name[2:] if name.startswith("./") else name.lstrip("/")] = size


def _padded(position: int) -> int:
    return (position + 3) // 4 * 4


def _decompress(image: bytes, position: int) -> tuple[bytes, int]:
    """Return the content of the compressed archive at *position*, and where it ends."""
    magic = image[position : position + 6]
    try:
        if magic[:2] in (b"\x1f\x8b", b"\x1f\x9e"):
            return _all_of(zlib.decompressobj(31), image, position)
        if magic == b"\xfd7zXZ\x00" or magic[:3] == b"\x5d\x00\x00":
            return _all_of(lzma.LZMADecompressor(), image, position)
        if magic[:3] == b"BZh":
            return _all_of(bz2.BZ2Decompressor(), image, position)
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise InitramfsError(f"A compressed archive in it is damaged: {error}.") from error
    program = _PROGRAMS.get(magic[:4])
    if program is None:
        raise InitramfsError(f"It holds something that begins with {magic.hex()}.")
    # These programs read several frames and end with the input: such an archive is the last.
    return _by_program(program, memoryview(image)[position:]), len(image)


def _all_of(
    decompressor: zlib._Decompress | lzma.LZMADecompressor | bz2.BZ2Decompressor,
    image: bytes,
    position: int,
) -> tuple[bytes, int]:
    parts, made = [], 0
    view = memoryview(image)
    offset = position
    while offset < len(view) and not decompressor.eof:
        part = decompressor.decompress(view[offset : offset + 1048576])
        offset += 1048576
        parts.append(part)
        made += len(part)
        if made > _LIMIT:
            raise InitramfsError("It is too large.")
    if not decompressor.eof:
        raise InitramfsError("A compressed archive in it ends early.")
    return b"".join(parts), min(offset, len(view)) - len(decompressor.unused_data)


def _by_program(argv: tuple[str, ...], content: memoryview) -> bytes:
    if shutil.which(argv[0]) is None:
        raise DecompressorMissing(
            f"It is compressed with {argv[0]}, which is not installed.",
            action=f"Install {argv[0]} on the conversion host.",
        )
    with tempfile.TemporaryFile() as source:
        source.write(content)
        source.seek(0)
        # Runs inside the sandbox, as all of this room does.
        completed = subprocess.run(  # pylint: disable=ansible-bad-function
            argv, stdin=source, capture_output=True, timeout=_TIMEOUT, check=False
        )
    # Zeros behind the last frame, which the kernel skips, make a program complain in the end.
    if not completed.stdout:
        said = completed.stderr.decode(errors="replace").strip() or "nothing"
        raise InitramfsError(f"{argv[0]} can't decompress it; it said: {said}.")
    return completed.stdout
