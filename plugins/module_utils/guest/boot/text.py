# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest's configuration files as text."""

from __future__ import annotations

from ..files import GuestFiles, read_text


def text_of(files: GuestFiles, path: str) -> str:
    """Return a file's text, "" when there is no such file."""
    return read_text(files, path) if files.is_file(path) else ""


def write_text(files: GuestFiles, path: str, text: str) -> None:
    """Write what text_of() returned, changed; bytes that are no UTF-8 stay what they were."""
    files.write(path, text.encode("utf-8", "surrogateescape"))
