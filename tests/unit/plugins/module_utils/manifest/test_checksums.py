# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.errors import Interrupted
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.checksums import (
    PIECE,
    read_files,
    sha256_files,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.findings import (
    ManifestError,
)


@pytest.fixture
def files(tmp_path):
    paths = []
    for number, size in enumerate([0, 1, PIECE, 3 * PIECE + 5]):
        path = tmp_path / f"{number}"
        path.write_bytes(bytes([number]) * size)
        paths.append(path)
    return paths


def test_several_files(files):
    seen = []
    digests = sha256_files(
        [*files, files[0]], on_progress=lambda done, total: seen.append((done, total))
    )
    assert digests == {
        path: f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files
    }
    total = 4 * PIECE + 6
    assert seen[-1] == (total, total) and [done for done, _total in seen] == sorted(
        done for done, _total in seen
    )


def test_a_file_is_read_once_for_all(files):
    pieces = []
    digests = read_files(
        {files[3]: ("sha1", "sha512")},
        watchers={files[3]: lambda piece: pieces.append(bytes(piece))},
    )
    content = files[3].read_bytes()
    assert b"".join(pieces) == content
    assert digests[files[3]] == {
        "sha1": hashlib.sha1(content).hexdigest(),
        "sha512": hashlib.sha512(content).hexdigest(),
    }


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ManifestError, match="can't be read: No such file"):
        sha256_files([tmp_path / "none"])


def test_an_interrupt_ends_all(files):
    def interrupt(done, total):
        raise Interrupted("Stopped.")

    with pytest.raises(Interrupted):
        sha256_files(files, on_progress=interrupt)
