# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import replace

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.document import load
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.findings import (
    ManifestError,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.model import (
    Artifacts,
    Disk,
    Machine,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.state import (
    Request,
    make_absent,
    make_present,
)


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.fixture
def request_(tmp_path):
    (tmp_path / "a.raw").write_bytes(b"a" * 1000)
    artifacts = Artifacts(
        provider="local",
        export_method="copy",
        export_format="disks",
        directory=tmp_path,
        machine=Machine(name="web01", cpu=1),
        disks=(Disk(path=tmp_path / "a.raw", size=1000, source_format="raw"),),
        warnings=("an empty disk is left out",),
    )
    return Request(path=tmp_path / "artifact-manifest.json", artifacts=artifacts, settings={})


def test_written_once(request_):
    first = make_present(request_)
    assert first.changed and first.before == ""
    assert first.after == request_.path.read_text()
    document = load(request_.path)
    assert document["disks"][0]["checksum"] == sha256(b"a" * 1000)
    assert document["output"]["directory"] == str(request_.path.parent / "out")
    # Times of a first run that was long ago stay.
    document["metadata"]["created_at"] = "2020-01-01T00:00:00Z"
    document["source"]["export_timestamp"] = "2020-01-01T00:00:00Z"
    document["warnings"][0]["timestamp"] = "2020-01-01T00:00:00Z"
    request_.path.write_text(json.dumps(document))
    again = make_present(request_)
    assert not again.changed and again.before == again.after
    assert json.loads(request_.path.read_text()) == document


def test_check_mode_writes_nothing(request_):
    outcome = make_present(replace(request_, check_mode=True))
    assert outcome.changed and outcome.after and not request_.path.exists()
    make_present(request_)
    assert not make_present(replace(request_, check_mode=True)).changed


def test_check_mode_of_an_export_that_is_yet_to_come(request_):
    (request_.path.parent / "a.raw").unlink()
    outcome = make_present(replace(request_, check_mode=True))
    assert "checksum" not in outcome.document["disks"][0]
    assert "export_timestamp" not in outcome.document["source"]
    with pytest.raises(ManifestError, match=r"a.raw does not exist"):
        make_present(request_)


def test_a_file_of_another_size_than_its_export_says(request_):
    (request_.path.parent / "a.raw").write_bytes(b"short")
    with pytest.raises(ManifestError, match="has 5 bytes, and its export says 1000"):
        make_present(request_)


def test_checksum_off_and_on(request_):
    assert "checksum" not in make_present(replace(request_, checksum=False)).document["disks"][0]
    assert make_present(request_).document["disks"][0]["checksum"]


def test_a_touched_disk_is_read_again(request_):
    make_present(request_)
    disk = request_.path.parent / "a.raw"
    facts = disk.stat()
    disk.write_bytes(b"b" * 1000)
    # Even when its time of modification is set back.
    os.utime(disk, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    outcome = make_present(request_)
    assert outcome.changed
    assert outcome.document["disks"][0]["checksum"] == sha256(b"b" * 1000)


def test_an_untouched_disk_is_not_read_again(request_, monkeypatch):
    make_present(request_)
    disk = request_.path.parent / "a.raw"
    os.utime(request_.path, (disk.stat().st_ctime + 10,) * 2)
    seen = []
    make_present(request_, on_progress=lambda done, total: seen.append(done))
    assert seen == []
    request_.path.unlink()
    make_present(request_, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1000, 1000)]


def test_replace_and_merge(request_):
    settings = {
        "vm": {"cpu": 4},
        "output": {"format": "raw"},
        "metadata": {"tags": {"team": "web"}},
    }
    make_present(replace(request_, settings=settings))
    document = load(request_.path)
    assert document["vm"]["cpu"] == 4 and document["metadata"]["tags"]["team"] == "web"

    merged = make_present(replace(request_, settings={"notes": ["moved"]}, merge=True))
    assert merged.document["output"]["format"] == "raw"
    assert merged.document["metadata"]["tags"]["team"] == "web"
    assert merged.document["notes"] == ["moved"]
    # What the source knows it knows better than the file.
    assert merged.document["vm"]["cpu"] == 1

    replaced = make_present(request_)
    assert replaced.document["output"]["format"] == "qcow2"
    assert "team" not in replaced.document["metadata"]["tags"]


def test_amend(request_):
    make_present(request_)
    before = load(request_.path)
    amend = replace(request_, artifacts=None, settings={"output": {"format": "raw"}})
    assert make_present(amend).changed
    assert not make_present(amend).changed
    before["output"]["format"] = "raw"
    assert load(request_.path) == before


def test_nothing_to_amend(request_):
    with pytest.raises(ManifestError, match="nothing is given to build it from"):
        make_present(replace(request_, artifacts=None))
    request_.path.write_text("{")
    with pytest.raises(ManifestError, match="is not JSON"):
        make_present(replace(request_, artifacts=None))


def test_what_is_no_manifest_is_replaced(request_):
    request_.path.write_text("{")
    outcome = make_present(request_)
    assert outcome.changed and outcome.before == "(not a manifest)\n"
    load(request_.path)


def test_nothing_invalid_is_written(request_):
    with pytest.raises(ManifestError, match=r"vm.firmware is 'efi'"):
        make_present(replace(request_, settings={"vm": {"firmware": "efi"}}))
    assert not request_.path.exists()


def test_hosts_beside_a_host_name_get_a_line_in_front(request_):
    name = {"hostname": {"hostname": "a", "hosts": {"192.0.2.1": "b"}}}
    outcome = make_present(replace(request_, settings={"configuration": name}))
    assert list(outcome.document["configuration"]["hostname"]["hosts"]) == ["#", "192.0.2.1"]
    assert not make_present(replace(request_, settings={"configuration": name})).changed


def test_backup(request_):
    assert make_present(replace(request_, backup=True)).backup_file == ""
    text = request_.path.read_text()
    changed = make_present(replace(request_, backup=True, settings={"notes": ["x"]}))
    with open(changed.backup_file) as file:
        assert file.read() == text
    assert make_present(replace(request_, backup=True, settings={"notes": ["x"]})).backup_file == ""


def test_absent(request_):
    assert not make_absent(request_).changed
    make_present(request_)
    text = request_.path.read_text()
    assert make_absent(replace(request_, check_mode=True)).changed and request_.path.exists()
    outcome = make_absent(replace(request_, backup=True))
    assert outcome.changed and outcome.before == text and not request_.path.exists()
    with open(outcome.backup_file) as file:
        assert file.read() == text
    assert not make_absent(request_).changed


def test_secrets_of_the_file_and_of_the_request(request_):
    def users(value):
        return {"configuration": {"users": {"users": [{"name": "a", "password_hash": value}]}}}

    make_present(replace(request_, settings=users("$6$a$old")))
    outcome = make_present(replace(request_, settings=users("$6$a$new")))
    assert set(outcome.secrets) == {"$6$a$old", "$6$a$new"}
    assert "$6$" not in repr(replace(outcome, document=None, before="", after=""))
    assert set(make_absent(request_).secrets) == {"$6$a$new"}


def test_a_thousand_disks_are_described_and_written_in_100_ms(request_, tmp_path):
    """Without reading them; what the module adds is ansible-core's own start."""
    disks = []
    for number in range(1000):
        path = tmp_path / f"{number}.raw"
        path.write_bytes(b"")
        disks.append(Disk(path=path, size=0, source_format="raw", label=f"Hard disk {number}"))
    artifacts = replace(request_.artifacts, disks=tuple(disks))
    spent = []
    # The best of many: others may be at work on the machine.
    for number in range(15):
        path = tmp_path / f"{number}.json"
        wanted = replace(request_, artifacts=artifacts, checksum=False, path=path)
        start = time.process_time()
        assert make_present(wanted).changed
        spent.append(time.process_time() - start)
    assert len(load(path)["disks"]) == 1000
    assert min(spent) < 0.1, spent
