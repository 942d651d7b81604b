# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unpack an OVA (DSP0243, 5.2: a tar whose first member is the descriptor)."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .findings import ManifestError, shown

_PLAIN = re.compile(r"^[^/\\\x00-\x1f]+$")


@dataclass(frozen=True)
class Ova:
    """An open OVA: its members by name."""

    path: Path
    tar: tarfile.TarFile
    members: dict[str, tarfile.TarInfo]

    @property
    def descriptor(self) -> str:
        """Name of the descriptor.

        Raises:
            ManifestError: There is none.
        """
        for name in self.members:
            if name.lower().endswith(".ovf"):
                return name
        raise ManifestError(
            f"The OVA {self.path} holds no .ovf file.", action="Name an OVA, or an OVF descriptor."
        )

    def open(self, name: str) -> IO[bytes]:
        """Return a member as a file.

        Raises:
            ManifestError: There is no member of this name.
        """
        member = self.members.get(name)
        file = self.tar.extractfile(member) if member is not None else None
        if file is None:
            raise ManifestError(
                f"The OVA {self.path} does not hold {name}, which its descriptor names.",
                action="Export the VM again.",
            )
        return file


@contextmanager
def open_ova(path: Path) -> Iterator[Ova]:
    """Open an OVA.

    Raises:
        ManifestError: It is missing, no tar, cut off, or names a file outside of itself.
    """
    try:
        with tarfile.open(path, mode="r:") as tar:
            yield Ova(path, tar, dict(_members(path, tar)))
    except FileNotFoundError:
        raise ManifestError(f"The OVA {path} does not exist.") from None
    except tarfile.TarError as error:
        if _is_gzip(path):
            raise ManifestError(
                f"The OVA {path} is compressed with gzip.", action="Unpack it with gunzip first."
            ) from error
        raise ManifestError(
            f"The OVA {path} is not a tar archive, or is cut off: {error}.",
            action="Export the VM again.",
        ) from error
    except OSError as error:
        raise ManifestError(f"The OVA {path} can't be read: {error.strerror or error}.") from error


def is_unpacked(ova: Ova, name: str, directory: Path) -> bool:
    """Whether a member is in the directory already: of its size, and not touched before the OVA was last written."""
    try:
        facts = os.stat(directory / name)
    except OSError:
        return False
    return facts.st_size == ova.members[name].size and facts.st_ctime >= os.stat(ova.path).st_mtime


def unpack(ova: Ova, name: str, directory: Path) -> Path:
    """Write a member into the directory, whole or not at all, and return its path.

    Raises:
        ManifestError: It can't be written, or the OVA is cut off.
    """
    target = directory / name
    partial = directory / f"{name}.part"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with ova.open(name) as source, open(partial, "wb") as file:
            shutil.copyfileobj(source, file, 1024 * 1024)
            file.flush()
            os.fsync(file.fileno())
            written = file.tell()
        if written != ova.members[name].size:
            raise ManifestError(
                f"The OVA {ova.path} is cut off within {name}.", action="Export the VM again."
            )
        os.replace(partial, target)
    except OSError as error:
        raise ManifestError(
            f"{name} of the OVA {ova.path} can't be written to {directory}: {error.strerror or error}."
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def _is_gzip(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _members(path: Path, tar: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    for member in tar:
        if not member.isreg() or not _PLAIN.match(member.name) or member.name in (".", ".."):
            raise ManifestError(
                f"The OVA {path} holds {shown(member.name)}, which is not a plain file beside its descriptor.",
                action="Don't trust it: an OVA holds nothing else.",
            )
        yield member.name, member
