# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest's files, wherever its filesystems are mounted.

Every path is absolute and means what it means to the guest: a symbolic link is followed within the
guest's root, as chroot(2) would, so that no link reaches the conversion host. What a guest holds is
untrusted: only regular files are read (a FIFO would block for ever), and only up to a limit.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..errors import Hyper2KvmError

READ_LIMIT = 64 << 20
"""Bytes of a file that are read unless the caller asks for more."""

_LINKS = 40
"""Symbolic links that one path may go through: Linux' own limit."""


class GuestFileError(Hyper2KvmError):
    """A file of the guest could not be read, written or looked at."""


class MissingGuestFile(GuestFileError):
    """The guest has no such file."""


@dataclass(frozen=True)
class Attributes:
    """What a file is besides its content.

    `mode` holds the permission bits alone (07777); `xattrs` the extended attributes by their full
    name (security.selinux, system.posix_acl_access, user.…), as bytes.
    """

    mode: int
    uid: int = 0
    gid: int = 0
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


class GuestFiles(Protocol):
    """The files of one guest. Everything raises GuestFileError where it can't do its work."""

    def read(self, path: str, limit: int = READ_LIMIT) -> bytes:
        """Return a regular file's content; MissingGuestFile where there is none."""

    def exists(self, path: str) -> bool:
        """Tell whether something is there, at the end of the links."""

    def is_file(self, path: str) -> bool:
        """Tell whether it is a regular file, at the end of the links."""

    def is_dir(self, path: str) -> bool:
        """Tell whether it is a directory, at the end of the links."""

    def list(self, directory: str) -> list[str]:
        """Return the names in a directory, sorted; none where it is no directory.

        Names that are no UTF-8 are left out: libguestfs' binding can't take them.
        """

    def readlink(self, path: str) -> str | None:
        """Return a symbolic link's target as it is written, None for everything else."""

    def attributes(self, path: str, follow: bool = True) -> Attributes:
        """Return the attributes of a file, or of the link itself."""

    def write(self, path: str, content: bytes, attributes: Attributes | None = None) -> None:
        """Write a file and the directories above it that are missing.

        Without `attributes` an existing file keeps its own and a new one is root's, mode 0644.
        """

    def set_attributes(self, path: str, attributes: Attributes) -> None:
        """Give a file exactly these attributes, its content aside."""

    def label(self, path: str, name: str, value: bytes) -> None:
        """Set one extended attribute of a file, or of the link itself; a text of UTF-8."""

    def link(self, target: str, path: str) -> None:
        """Make a symbolic link, in place of a file or link that is there."""

    def remove(self, path: str) -> None:
        """Take away a file or a link (not what it points at); nothing where there is none."""

    def run(self, argv: Sequence[str], timeout: float) -> tuple[int, str]:
        """Run one of the guest's programs in its root, for at most so many seconds.

        Returns its exit status (124: it took too long) and what it printed, in ASCII.
        """


def read_text(files: GuestFiles, path: str) -> str:
    """Return a file as text, whatever its bytes: those that are no UTF-8 become surrogates."""
    return files.read(path).decode("utf-8", "surrogateescape")


def text_of(files: GuestFiles, path: str) -> str:
    """Return a file's text as read_text() does, "" when there is no such file."""
    return read_text(files, path) if files.is_file(path) else ""


def write_text(files: GuestFiles, path: str, text: str) -> None:
    """Write what was read as text, changed; bytes that are no UTF-8 stay what they were."""
    files.write(path, text.encode("utf-8", "surrogateescape"))


class DirectoryFiles:
    """The files of a guest whose root is a directory of this machine."""

    def __init__(self, root: Path | str) -> None:
        self._root = Path(root)

    def read(self, path: str, limit: int = READ_LIMIT) -> bytes:
        """See GuestFiles."""
        real = self._real(path)
        status = self._status(path, follow=True)
        refuse_unreadable(path, status.st_mode, status.st_size, limit)
        return real.read_bytes()

    def exists(self, path: str) -> bool:
        """See GuestFiles."""
        return self._kind(path) is not None

    def is_file(self, path: str) -> bool:
        """See GuestFiles."""
        return stat.S_ISREG(self._kind(path) or 0)

    def is_dir(self, path: str) -> bool:
        """See GuestFiles."""
        return stat.S_ISDIR(self._kind(path) or 0)

    def list(self, directory: str) -> list[str]:
        """See GuestFiles."""
        if not self.is_dir(directory):
            return []
        return sorted(texts_of(os.listdir(os.fsencode(self._real(directory)))))

    def readlink(self, path: str) -> str | None:
        """See GuestFiles."""
        try:
            real = self._real(path, follow=False)
            return os.readlink(real) if real.is_symlink() else None
        except OSError:
            return None

    def attributes(self, path: str, follow: bool = True) -> Attributes:
        """See GuestFiles."""
        real = self._real(path, follow)
        status = self._status(path, follow)
        return Attributes(
            mode=stat.S_IMODE(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            xattrs={
                name: os.getxattr(real, name, follow_symlinks=False)
                for name in os.listxattr(real, follow_symlinks=False)
            },
        )

    def write(self, path: str, content: bytes, attributes: Attributes | None = None) -> None:
        """See GuestFiles."""
        real = self._real(path)
        try:
            new = not real.exists()
            real.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            real.write_bytes(content)
            if attributes is not None:
                self.set_attributes(path, attributes)
            elif new:
                real.chmod(0o644)
        except OSError as error:
            raise GuestFileError(f"The guest's {path} can't be written: {error}.") from error

    def link(self, target: str, path: str) -> None:
        """See GuestFiles."""
        self.remove(path)
        real = self._real(path, follow=False)
        real.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        real.symlink_to(target)

    def remove(self, path: str) -> None:
        """See GuestFiles."""
        try:
            self._real(path, follow=False).unlink(missing_ok=True)
        except OSError as error:
            raise GuestFileError(f"The guest's {path} can't be taken away: {error}.") from error

    def run(self, argv: Sequence[str], timeout: float) -> tuple[int, str]:
        """Refuse: the programs below a directory are not this machine's to run."""
        raise GuestFileError(f"{argv[0]} can only be run in an appliance.")

    def set_attributes(self, path: str, attributes: Attributes) -> None:
        """See GuestFiles."""
        real = self._real(path)
        present = self.attributes(path)
        try:
            if (present.uid, present.gid) != (attributes.uid, attributes.gid):
                os.chown(real, attributes.uid, attributes.gid)
            real.chmod(attributes.mode)
            for name in present.xattrs.keys() - attributes.xattrs.keys():
                os.removexattr(real, name)
            for name, value in attributes.xattrs.items():
                if present.xattrs.get(name) != value:
                    os.setxattr(real, name, value)
        except OSError as error:
            raise GuestFileError(f"The guest's {path} can't be changed: {error}.") from error

    def label(self, path: str, name: str, value: bytes) -> None:
        """See GuestFiles."""
        try:
            os.setxattr(self._real(path, follow=False), name, value, follow_symlinks=False)
        except OSError as error:
            raise GuestFileError(f"The guest's {path} can't be changed: {error}.") from error

    def _kind(self, path: str) -> int | None:
        try:
            return self._status(path, follow=True).st_mode
        except GuestFileError:
            return None

    def _status(self, path: str, follow: bool) -> os.stat_result:
        try:
            return self._real(path, follow).lstat()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingGuestFile(f"The guest has no {path}.") from error
        except OSError as error:
            raise GuestFileError(f"The guest's {path} can't be read: {error}.") from error

    def _real(self, path: str, follow: bool = True) -> Path:
        """Return where a path of the guest is on this machine, as chroot(2) would resolve it."""
        if not is_plain(path):
            raise GuestFileError(f"The guest's file name {path!r} can't be handled.")
        pending = [part for part in path.split("/") if part]
        found: list[str] = []
        links = 0
        while pending:
            part = pending.pop(0)
            if part in (".", ".."):
                del found[-1 if part == ".." else len(found) :]
                continue
            here = self._root.joinpath(*found, part)
            if here.is_symlink() and (pending or follow):
                links += 1
                if links > _LINKS:
                    raise GuestFileError(f"The guest's {path}: {os.strerror(errno.ELOOP)}.")
                target = os.readlink(here)
                if target.startswith("/"):
                    found.clear()
                pending[:0] = [each for each in target.split("/") if each]
            else:
                found.append(part)
        return self._root.joinpath(*found)


def refuse_unreadable(path: str, mode: int, size: int, limit: int) -> None:
    """Raise GuestFileError for what is no regular file, or too large."""
    if not stat.S_ISREG(mode):
        raise GuestFileError(f"The guest's {path} is no regular file.")
    if size > limit:
        raise GuestFileError(f"The guest's {path} is larger than {limit} bytes.")


def texts_of(names: Sequence[bytes]) -> list[str]:
    """Return the names that are UTF-8."""
    texts = [name.decode("utf-8", "replace") for name in names if name]
    return [text for text in texts if "\N{REPLACEMENT CHARACTER}" not in text]


def is_plain(text: str) -> bool:
    """Tell whether a path is text that every interface takes."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
