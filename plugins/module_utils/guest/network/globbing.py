# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shell patterns over a guest's files."""

from __future__ import annotations

from fnmatch import fnmatchcase

from ..files import GuestFiles

_MOST = 1000


def expand(files: GuestFiles, pattern: str) -> list[str]:
    """Return the paths that an absolute pattern stands for, sorted; hidden names only by a dot."""
    found = [""]
    for part in pattern.split("/"):
        if not part:
            continue
        if any(letter in part for letter in "*?["):
            found = [
                f"{directory}/{name}"
                for directory in found
                for name in files.list(directory or "/")
                if fnmatchcase(name, part) and (part.startswith(".") or not name.startswith("."))
            ][:_MOST]
        else:
            found = [f"{directory}/{part}" for directory in found]
    return sorted(path for path in found if path and files.exists(path))


def walk(files: GuestFiles, directory: str, depth: int = 4) -> list[str]:
    """Return the paths of what is below a directory and is none; links are not followed."""
    found: list[str] = []
    for name in files.list(directory):
        path = f"{directory}/{name}"
        if files.readlink(path) is None and files.is_dir(path):
            found += walk(files, path, depth - 1) if depth else []
        else:
            found.append(path)
        if len(found) > _MOST:
            break
    return found
