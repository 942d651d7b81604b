# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.local_files import (
    LocalFileError,
    local,
)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(number: int) -> None:
    full = pytest.raises(LocalFileError, match=r"/d has no room for web01\.ova")
    with full, local(Path("/d/web01.ova")):
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (OSError(errno.EROFS, "Read-only file system"), "/d/web01.ova"),
        (PermissionError(errno.EACCES, "Permission denied", "/d/disk"), "/d/disk"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "/d/.part", None, "/d/to"), "/d/to"),
        (OSError("shorter than it was"), "/d/web01.ova"),
    ],
)
def test_the_file_and_the_reason(error: OSError, named: str) -> None:
    unusable = pytest.raises(LocalFileError, match=f"^{named} can't be used: ")
    with unusable as caught, local(Path("/d/web01.ova")):
        raise error
    assert (error.strerror or str(error)) in caught.value.message
    assert caught.value.action
