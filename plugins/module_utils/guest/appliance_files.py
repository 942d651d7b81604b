# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest's files through a libguestfs handle that has its filesystems mounted."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .extended_attributes import set_extended_attributes
from .files import (
    READ_LIMIT,
    Attributes,
    GuestFileError,
    MissingGuestFile,
    is_plain,
    refuse_unreadable,
    texts_of,
)

_PIECE = 1 << 20
"""Bytes that one call of libguestfs writes; its protocol takes less than 4 MiB."""

_RUN_IN_GUEST = """
LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
seconds=$1
shift
{
    if command -v timeout >/dev/null 2>&1; then timeout -k 5 "$seconds" "$@"; else "$@"; fi
    printf '\\n%s' "$?"
} 2>&1 </dev/null | tr -cd '\\11\\12\\40-\\176'
"""
"""Runs its arguments and prints, after what they print, their exit status in a line of its own."""


class GuestfsFiles:
    """The files of a guest whose filesystems a libguestfs handle has mounted.

    libguestfs resolves paths within the guest's root, in the appliance.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def read(self, path: str, limit: int = READ_LIMIT) -> bytes:
        """See GuestFiles."""
        status = self._status(path, follow=True)
        refuse_unreadable(path, status["st_mode"], status["st_size"], limit)
        content: bytes = self._ask("read_file", path)
        return content

    def exists(self, path: str) -> bool:
        """See GuestFiles."""
        # libguestfs' own "exists" looks at a link itself.
        return self._tells("statns", path)

    def is_file(self, path: str) -> bool:
        """See GuestFiles."""
        return self._tells("is_file", path, followsymlinks=True)

    def is_dir(self, path: str) -> bool:
        """See GuestFiles."""
        return self._tells("is_dir", path, followsymlinks=True)

    def list(self, directory: str) -> list[str]:
        """See GuestFiles."""
        if not self.is_dir(directory):
            return []
        # ls() fails for the whole directory when one name is no UTF-8.
        with tempfile.NamedTemporaryFile() as names:
            self._ask("ls0", directory, names.name)
            return sorted(name for name in texts_of(Path(names.name).read_bytes().split(b"\0")))

    def readlink(self, path: str) -> str | None:
        """See GuestFiles."""
        if not self._ask("is_symlink", path):
            return None
        target: str = self._ask("readlink", path)
        return target

    def attributes(self, path: str, follow: bool = True) -> Attributes:
        """See GuestFiles."""
        status = self._status(path, follow)
        xattrs = self._ask("getxattrs" if follow else "lgetxattrs", path)
        return Attributes(
            mode=stat.S_IMODE(status["st_mode"]),
            uid=status["st_uid"],
            gid=status["st_gid"],
            xattrs={each["attrname"]: bytes(each["attrval"]) for each in map(dict, xattrs)},
        )

    def write(self, path: str, content: bytes, attributes: Attributes | None = None) -> None:
        """See GuestFiles."""
        self._make_parents(path)
        new = not self.exists(path)
        self._ask("write", path, content[:_PIECE])
        for start in range(_PIECE, len(content), _PIECE):
            self._ask("write_append", path, content[start : start + _PIECE])
        if attributes is not None:
            self.set_attributes(path, attributes)
        elif new:
            self._ask("chmod", 0o644, path)

    def link(self, target: str, path: str) -> None:
        """See GuestFiles."""
        self._make_parents(path)
        self._ask("ln_sf", target, path)

    def remove(self, path: str) -> None:
        """See GuestFiles."""
        if self.is_dir(path) and not self._ask("is_symlink", path):
            raise GuestFileError(f"{path} is a directory of the guest, which is not taken away.")
        self._ask("rm_f", path)

    def run(self, argv: Sequence[str], timeout: float) -> tuple[int, str]:
        """See GuestFiles."""
        command = ["/bin/sh", "-c", _RUN_IN_GUEST, "sh", f"{max(1, round(timeout))}", *argv]
        printed: str = self._ask("command", command)
        output, _newline, status = printed.rpartition("\n")
        if not status.isdecimal():
            raise GuestFileError(f"{argv[0]} could not be started in the guest.")
        return int(status), output

    def set_attributes(self, path: str, attributes: Attributes) -> None:
        """See GuestFiles."""
        self._ask("chown", attributes.uid, attributes.gid, path)
        self._ask("chmod", attributes.mode, path)
        present = self.attributes(path).xattrs
        set_extended_attributes(self._ask, path, present, attributes.xattrs)

    def label(self, path: str, name: str, value: bytes) -> None:
        """See GuestFiles."""
        self._ask("lsetxattr", name, value.rstrip(b"\0").decode(), len(value), path)

    def _tells(self, question: str, path: str, **options: bool) -> bool:
        """Ask about what may not be there; at the end of links in a circle nothing is."""
        try:
            return bool(self._ask(question, path, **options))
        except MissingGuestFile:
            return False
        except GuestFileError as error:
            if _ends_with(error.message, errno.ELOOP):
                return False
            raise

    def _status(self, path: str, follow: bool) -> dict[str, int]:
        return dict(self._ask("statns" if follow else "lstatns", path))

    def _make_parents(self, path: str) -> None:
        parent = posixpath.dirname(path)
        if not self.is_dir(parent):
            self._ask("mkdir_p", parent)

    def _ask(self, operation: str, *arguments: Any, **options: Any) -> Any:
        """Call the handle. A string that is no UTF-8 makes its binding crash, so none gets there."""
        for argument in arguments:
            for text in argument if isinstance(argument, list) else [argument]:
                if isinstance(text, str) and not is_plain(text):
                    raise GuestFileError(f"The guest's file name {text!r} can't be handled.")
        try:
            return getattr(self._handle, operation)(*arguments, **options)
        except (RuntimeError, ValueError) as error:
            missing = _ends_with(str(error), errno.ENOENT, errno.ENOTDIR)
            kind = MissingGuestFile if missing else GuestFileError
            raise kind(f"libguestfs could not do this in the guest: {error}.") from error


def _ends_with(message: str, *numbers: int) -> bool:
    """Tell whether a message ends with what the system says of one of these errors."""
    return message.rstrip(".").endswith(tuple(map(os.strerror, numbers)))
