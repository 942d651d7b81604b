# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import stat

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.document import (
    load,
    parse,
    render,
    secrets_of,
    write,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.findings import (
    ManifestError,
)


def written(path, document):
    return write(path, render(document), private=bool(secrets_of(document)))


def shuffled(value):
    if isinstance(value, dict):
        return {key: shuffled(member) for key, member in reversed(list(value.items()))}
    return [shuffled(member) for member in value] if isinstance(value, list) else value


def test_the_order_of_keys_is_the_contracts(document):
    document["metadata"]["tags"]["a"] = "ä"
    text = render(shuffled(document))
    assert text == render(document)
    assert list(json.loads(text)) == [
        "manifest_version", "source", "vm", "disks", "pipeline", "output", "metadata", "notes",
    ]  # fmt: skip
    assert list(json.loads(text)["disks"][0])[:4] == ["id", "source_format", "bytes", "local_path"]
    assert list(json.loads(text)["metadata"]["tags"]) == sorted(document["metadata"]["tags"])
    assert text.endswith("}\n") and '"ä"' in text


def test_write_and_load(tmp_path, document):
    path = tmp_path / "artifact-manifest.json"
    assert written(path, document) is True
    assert load(path) == document
    before = path.stat()
    assert written(path, document) is False
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    document["vm"]["cpu"] = 8
    assert written(path, document) is True
    assert os.listdir(tmp_path) == [path.name]


def test_permissions(tmp_path, document):
    path = tmp_path / "artifact-manifest.json"
    written(path, document)
    path.chmod(0o640)
    document["vm"]["cpu"] = 8
    written(path, document)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    document["configuration"] = {"users": {"users": [{"name": "a", "password_hash": "$6$x$y"}]}}
    written(path, document)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secrets_of(document) == ["$6$x$y"]


def test_where_nothing_can_be_written(tmp_path, document):
    with pytest.raises(ManifestError, match="can't be written: No such file or directory"):
        written(tmp_path / "none" / "artifact-manifest.json", document)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "is not JSON: Expecting value at line 1, column 1"),
        (b'{"a": 1,}', "is not JSON"),
        (b"\xff\xfe{}", "is not UTF-8 text"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        (b'{"disks": [], "disks": [1]}', "the key 'disks' stands twice"),
        (b'{"a": NaN}', "NaN is not a value of JSON"),
        (b"[" * 100000, "is not JSON"),
    ],
)
def test_not_json(tmp_path, raw, message):
    with pytest.raises(ManifestError, match=message):
        parse(raw, tmp_path)


def test_load_says_everything_that_is_wrong(tmp_path, document):
    path = tmp_path / "artifact-manifest.json"
    document["vm"]["firmware"] = "efi"
    document["disks"][0]["checksum"] = None
    path.write_text(json.dumps(document))
    with pytest.raises(ManifestError) as caught:
        load(path)
    assert str(path) in caught.value.message and "and 1 more" in caught.value.message
    assert len(caught.value.failure()["findings"]) == 2


def test_a_missing_manifest(tmp_path):
    with pytest.raises(ManifestError, match="does not exist") as caught:
        load(tmp_path / "artifact-manifest.json")
    assert "artifact_manifest" in caught.value.action
