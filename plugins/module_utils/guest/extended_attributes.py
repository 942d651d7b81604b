# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Setting extended attributes through libguestfs, whose calls take text only.

A value with a zero byte in it (an access list, a capability) has its own way: access lists as
acl(5) text, everything else in a tar archive, as GNU tar writes them (SCHILY.xattr.NAME).
"""

from __future__ import annotations

import io
import posixpath
import struct
import tarfile
import tempfile
from collections.abc import Mapping
from typing import Any, Protocol

_ACCESS_LISTS = {"system.posix_acl_access": "access", "system.posix_acl_default": "default"}
_ACL_VERSION = 2
_ACL_TAGS = {0x01: "u", 0x02: "u", 0x04: "g", 0x08: "g", 0x10: "m", 0x20: "o"}
_ACL_NAMED = {0x02, 0x08}


class Ask(Protocol):
    """Calls one operation of a libguestfs handle."""

    def __call__(self, operation: str, *arguments: Any, **options: Any) -> Any:
        """Return the operation's answer, raising GuestFileError."""


def set_extended_attributes(
    ask: Ask, path: str, present: Mapping[str, bytes], wanted: Mapping[str, bytes]
) -> None:
    """Give a file exactly the attributes that are wanted; what it has already is left alone."""
    for name in present.keys() - wanted.keys():
        ask("removexattr", name, path)
    missing = {name: value for name, value in wanted.items() if present.get(name) != value}
    plain = {name: value for name, value in missing.items() if name not in _ACCESS_LISTS}
    if all(map(_is_text, plain.values())):
        for name, value in plain.items():
            # The length may count the zero byte that ends the text, as SELinux' labels have one.
            ask("setxattr", name, value.rstrip(b"\0").decode(), len(value), path)
    else:
        # Unpacking makes the file anew, so everything it shall have comes with it.
        missing = dict(wanted)
        _unpack(ask, path, {k: v for k, v in wanted.items() if k not in _ACCESS_LISTS})
    for name in missing.keys() & _ACCESS_LISTS.keys():
        ask("acl_set_file", path, _ACCESS_LISTS[name], access_list_text(missing[name]))


def access_list_text(value: bytes) -> str:
    """Return an access list of Linux' binary form (linux/posix_acl_xattr.h) as acl(5) writes it.

    Raises ValueError when it has another form.
    """
    if len(value) % 8 != 4 or struct.unpack_from("<I", value)[0] != _ACL_VERSION:
        raise ValueError("not an access list")
    entries = []
    for tag, permissions, identity in struct.iter_unpack("<HHI", value[4:]):
        if tag not in _ACL_TAGS:
            raise ValueError("not an access list")
        letters = "".join(
            letter if permissions & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1))
        )
        entries.append(f"{_ACL_TAGS[tag]}:{identity if tag in _ACL_NAMED else ''}:{letters}")
    return ",".join(entries)


def _is_text(value: bytes) -> bool:
    text = value[:-1] if value.endswith(b"\0") else value
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in text


def _unpack(ask: Ask, path: str, values: Mapping[str, bytes]) -> None:
    """Put a file in place of itself, from an archive that holds its attributes."""
    directory, base = posixpath.split(ask("realpath", path))
    status = dict(ask("statns", path))
    content: bytes = ask("read_file", path)
    entry = tarfile.TarInfo(base)
    entry.size = len(content)
    entry.mode = status["st_mode"] & 0o7777
    entry.uid, entry.gid, entry.mtime = status["st_uid"], status["st_gid"], status["st_mtime_sec"]
    entry.pax_headers = {
        f"SCHILY.xattr.{name}": value.decode("utf-8", "surrogateescape")
        for name, value in values.items()
    }
    with tempfile.NamedTemporaryFile() as file:
        with tarfile.open(
            fileobj=file,
            mode="w",
            format=tarfile.PAX_FORMAT,
            encoding="utf-8",
            errors="surrogateescape",
        ) as archive:
            archive.addfile(entry, io.BytesIO(content))
        file.flush()
        ask("tar_in", file.name, directory, xattrs=True)
