# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.findings import (
    ManifestError,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.profiles import (
    OWN,
    find_profile,
    load_profile,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.hyperexport import SAVED

AS_SAVED = {
    **SAVED,
    "name": "nightly",
    "format": "ova",
    "compress": True,
    "verify": True,
    "parallel": 6,
    # Neither changes what is exported.
    "cleanup_ovf": True,
    "keep_local": True,
    "encrypt_method": "aes256",
    "generate_manifest": True,
    "manifest_checksum": True,
    "manifest_target_format": "raw",
}


def written(directory, content, name="nightly"):
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_file_of_hyperexport_loads_unchanged(tmp_path):
    profile = load_profile(written(tmp_path, AS_SAVED))
    assert profile.settings == {
        "format": "ova",
        "compress": True,
        "verify": True,
        "power_off": False,
        "parallel": 6,
        "manifest": True,
        "verify_manifest": False,
        "manifest_checksum": True,
        "manifest_target": "raw",
    }


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("fromat", "ovf", "unknown keys: fromat"),
        ("encrypt", True, "sets encrypt, which is hyperexport's alone"),
        ("upload_to", "s3://bucket", "sets upload_to"),
        ("format", "zip", "format: 'zip', which is not one of ovf, ova"),
        ("manifest_target_format", "vmdk", "not one of qcow2, raw, vdi"),
        ("parallel", "4", "parallel: '4', which is not a whole number"),
        ("parallel", True, "parallel: true, which is not a whole number"),
        ("compress", "yes", "compress: 'yes', which is not true or false"),
    ],
)
def test_refused(tmp_path, key, value, message):
    with pytest.raises(ManifestError, match=message):
        load_profile(written(tmp_path, {**AS_SAVED, key: value}))


@pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("[]", "not a JSON object")])
def test_not_a_profile(tmp_path, text, message):
    with pytest.raises(ManifestError, match=message):
        load_profile(written(tmp_path, text))


def test_search_path(tmp_path):
    play, home = tmp_path / "play", tmp_path / "home"
    written(play, {"format": "ova"}, "both")
    written(home, {"format": "ovf"}, "both")
    written(home, {"format": "ovf"}, "quick")
    directories = [play, home]
    assert find_profile("both", directories).settings == {"format": "ova"}
    # A file of the collection's own name wins over it.
    assert find_profile("quick", directories).settings == {"format": "ovf"}
    assert find_profile("quick", [play]).source == "the collection's own"
    assert find_profile(str(home / "both.json"), [play]).settings == {"format": "ovf"}
    with pytest.raises(ManifestError, match="no profile other"):
        find_profile("other", directories)
    with pytest.raises(ManifestError, match="does not exist"):
        find_profile("./other.json", directories)


@pytest.mark.parametrize("name", sorted(OWN))
def test_own(name):
    profile = find_profile(name, [])
    assert profile.name == name and profile.description
    # A manifest names each disk's own file; an archive is one file.
    assert profile.settings["manifest"] is (name != "archive")
