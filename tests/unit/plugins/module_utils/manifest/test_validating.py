# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest import patterns
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.compiled import (
    compile_schema,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.schema import SCHEMA
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.validating import validate


def changed(document, place, value):
    """Set a value in a document by its place, "-" to remove it."""
    *parents, last = [
        int(part) if part.isdigit() else part for part in re.findall(r"[\w-]+|\d+", place)
    ]
    holder = document
    for part in parents:
        holder = holder.setdefault(part, {}) if isinstance(holder, dict) else holder[part]
    if value == "-":
        del holder[last]
    else:
        holder[last] = value
    return document


def test_the_example_is_valid(document):
    assert validate(document) == []


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


REFUSED = [
    ("manifest_version", "2.0", "manifest_version is '2.0', which is not '1.0'."),
    ("manifest_version", "-", "manifest_version is missing."),
    ("disks", [], "disks is empty."),
    ("disks", {}, "disks is {}, which is not a list."),
    ("disks[0].id", "a b", "disks[0].id is 'a b', which is not letters, digits, '_' and '-' only."),
    ("disks[0].id", "disk-0\n", "disks[0].id is 'disk-0\\n', which is not letters"),
    ("disks[1].id", "disk-0", "disks[1].id is 'disk-0', the same as that of disks[0]"),
    ("disks[0].source_format", "ova", "disks[0].source_format is 'ova', which is not one of vmdk,"),
    ("disks[0].source_format", "-", "disks[0].source_format is missing."),
    ("disks[0].bytes", -1, "disks[0].bytes is -1, which is less than 0."),
    ("disks[0].bytes", 1.0, "disks[0].bytes is 1.0, which is not a whole number."),
    ("disks[0].bytes", True, "disks[0].bytes is true, which is not a whole number."),
    (
        "disks[0].local_path",
        "disk1.vmdk",
        "disks[0].local_path is 'disk1.vmdk', which is not an absolute path",
    ),
    ("disks[0].local_path", "~/disk1.vmdk", "which is not an absolute path"),
    ("disks[1].local_path", "/work/export/disk0.vmdk", "one file can't be two disks"),
    ("disks[0].checksum", None, "disks[0].checksum is null, which is not a string."),
    ("disks[0].checksum", "sha256:" + "A" * 64, "64 lowercase hexadecimal digits."),
    ("disks[0].checksum", "md5:" + "a" * 32, "64 lowercase hexadecimal digits."),
    ("disks[1].boot_order_hint", "-", "disks[1].boot_order_hint is missing."),
    (
        "disks[1].boot_order_hint",
        0,
        "disks[0] and disks[1] have the same lowest boot_order_hint, 0",
    ),
    ("disks[0].boot_order_hint", 5, "hyper2kvm would fix the wrong disk."),
    (
        "disks[0].disk_type",
        "swap",
        "disks[0].disk_type is 'swap', which is not one of boot, data, unknown.",
    ),
    ("disks[0].chekcsum", "x", "disks[0].chekcsum is not a field of the Artifact Manifest v1.0."),
    ("vm.firmware", "efi", "vm.firmware is 'efi', which is not one of bios, uefi, unknown."),
    ("vm.cpu", 0, "vm.cpu is 0, which is less than 1."),
    ("vm.mem_gb", 0.5, "vm.mem_gb is 0.5, which is not a whole number."),
    ("vm.secureboot", "yes", "vm.secureboot is 'yes', which is not true or false."),
    ("pipeline", "-", "pipeline is missing."),
    ("pipeline", None, "pipeline is null, which is not an object."),
    (
        "pipeline.fix.fstab_mode",
        "all",
        "pipeline.fix.fstab_mode is 'all', which is not one of stabilize-all,",
    ),
    (
        "pipeline.convert.compress_level",
        10,
        "pipeline.convert.compress_level is 10, which is more than 9.",
    ),
    ("pipeline.upload", {}, "pipeline.upload is not a field"),
    ("output.format", "vmdk", "output.format is 'vmdk', which is not one of qcow2, raw, vdi."),
    ("output.directory", "out", "output.directory is 'out', which is not an absolute path"),
    ("options.verbose", 4, "options.verbose is 4, which is more than 3."),
    ("profile", "production", "profile needs profiles_directory, which is missing."),
    ("profile_overrides", {}, "profile_overrides needs profile, which is missing."),
    ("hooks.pre_extraction", [], "hooks.pre_extraction is not a field"),
    ("hooks.pre_fix", [{"type": "script"}], "hooks.pre_fix[0].path is missing."),
    ("hooks.pre_fix", [{"type": "python", "module": "m"}], "hooks.pre_fix[0].function is missing."),
    ("hooks.pre_fix", [{"type": "http"}], "hooks.pre_fix[0].url is missing."),
    ("nics", [{"mac": "1:2:3:4:5:6"}], "nics[0].mac is '1:2:3:4:5:6', which is not a MAC address"),
    ("warnings", [{"stage": "export"}], "warnings[0].message is missing."),
    ("metadata.created_at", "yesterday", "metadata.created_at is 'yesterday', which is not a time"),
    ("metadata.tags", {"a": 1}, "metadata.tags.a is 1, which is not a string."),
    ("notes", "one", "notes is 'one', which is not a list."),
    (
        "configuration.users.users",
        [{"name": "Root"}],
        "configuration.users.users[0].name has a value that is not",
    ),
    (
        "configuration.users.users",
        [{"name": "a", "password_hash": "x'; rm -rf /"}],
        "configuration.users.users[0].password_hash has a value that is not a crypt(5) hash",
    ),
    (
        "configuration.users.users",
        [{"name": "a", "password": "s3cret"}],
        "users[0].password is not a field",
    ),
    (
        "configuration.users.users",
        [{"name": "a", "sudo": "NOPASSWD:ALL"}],
        "users[0].sudo has a value that is not",
    ),
    (
        "configuration.services.enable",
        ["fstrim.timer"],
        "services.enable[0] has a value that is not the name",
    ),
    (
        "configuration.services.enable",
        ["getty@ttyS1"],
        "services.enable[0] has a value that is not the name",
    ),
    (
        "configuration.hostname",
        {"domain": "example.com"},
        "configuration.hostname.domain does nothing",
    ),
    (
        "configuration.hostname",
        {"hostname": "a", "hosts": {"192.0.2.1": "b"}},
        "configuration.hostname.hosts stands beside hostname",
    ),
    (
        "configuration.network",
        {"enable_networkd": True},
        "configuration.network.enable_networkd does nothing",
    ),
    (
        "configuration.network.network_files",
        [{"name": "a/b", "content": "x"}],
        "network_files[0].name has",
    ),
    (
        "configuration.network.network_files",
        [{"name": "a", "content": " "}],
        "network_files[0].content has",
    ),
]


@pytest.mark.parametrize(("place", "value", "message"), REFUSED)
def test_refused(document, place, value, message):
    findings = [
        finding
        for finding in validate(changed(document, place, value))
        if finding.severity == "error"
    ]
    assert any(message in finding.message for finding in findings), findings
    for finding in findings:
        assert finding.action and finding.message.endswith(".")
        assert "s3cret" not in finding.message and "rm -rf" not in finding.message
    expected = place.rsplit(".", 1)[0].split("[")[0]
    assert (
        any(finding.path.startswith(expected.split(".")[0]) for finding in findings)
        or "profile" in place
    )


def test_all_findings_are_listed(document):
    changed(document, "vm.firmware", "efi")
    changed(document, "disks[0].checksum", None)
    changed(document, "disks[1].bytes", "-")
    assert sorted(finding.path for finding in validate(document)) == [
        "disks[0].checksum",
        "disks[1].bytes",
        "vm.firmware",
    ]


@pytest.mark.parametrize(
    "place",
    [
        "output.filename",
        "libvirt_integration.enabled",
        "pipeline.convert.compress_level",
    ],
)
def test_what_hyper2kvm_ignores_is_a_warning(document, place):
    values = {"enabled": True, "compress_level": 5, "filename": "web01.qcow2"}
    changed(document, place, values[place.rsplit(".", 1)[1]])
    (finding,) = validate(document)
    assert (finding.severity, finding.path) == ("warning", place)


def test_a_single_disk_of_hypersdk_needs_no_boot_order(document):
    """hypersdk's Go type leaves a boot_order_hint of 0 out (omitempty)."""
    del document["disks"][1]
    del document["disks"][0]["boot_order_hint"]
    assert validate(document) == []


def test_two_equal_macs_are_a_warning(document):
    document["nics"] = [{"mac": "00:50:56:aa:bb:cc"}, {"mac": "00-50-56-AA-BB-CC"}]
    (finding,) = validate(document)
    assert (finding.severity, finding.path) == ("warning", "nics[1].mac")


@pytest.mark.parametrize("document_", [None, [], "x", 1])
def test_not_an_object(document_):
    assert validate(document_)[0].message.startswith("The manifest is ")


def test_every_pattern_has_its_words():
    used = set(re.findall(r"'pattern': ('[^']*'|\"[^\"]*\")", repr(SCHEMA)))
    assert used
    named = {
        value for name, value in vars(patterns).items() if name.isupper() and isinstance(value, str)
    }
    assert named - {patterns.END} == set(patterns.WORDS)


FAST = compile_schema(SCHEMA)
# Whole floats are the one deliberate difference from the published dialect.
REFERENCE = extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _checker, each: isinstance(each, int) and not isinstance(each, bool)
    ),
)(SCHEMA)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 12),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.sampled_from(["vmdk", "bios", "/a", "disk-0", "linux", "boot", "x-y"]),
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_the_fast_check_agrees_with_jsonschema(data):
    """Values put into random places of a valid document: both say the same."""
    document = {
        "manifest_version": "1.0",
        "disks": [{"id": "disk-0", "source_format": "raw", "bytes": 0, "local_path": "/a"}],
        "pipeline": {"fix": {"enabled": True}},
        "vm": {"cpu": 1},
        "hooks": {"pre_fix": [{"type": "script", "path": "/a"}]},
    }
    value = data.draw(
        st.recursive(
            _SCALARS,
            lambda inner: st.one_of(
                st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)
            ),
            max_leaves=3,
        )
    )
    names = sorted({*SCHEMA["properties"], "x-mine", "else"})
    name = data.draw(st.sampled_from(names))
    schema = SCHEMA["properties"].get(name, {})
    members = (schema.get("items", {}) if schema.get("type") == "array" else schema).get(
        "properties", {}
    )
    held = document.get(name)
    if members and data.draw(st.booleans()):
        member = data.draw(st.sampled_from([*sorted(members), "other"]))
        if isinstance(held, list):
            held[0][member] = value
        else:
            document.setdefault(name, {})[member] = value
    elif name in document and data.draw(st.booleans()):
        del document[name]
    else:
        document[name] = value
    assert FAST(document) == REFERENCE.is_valid(document)


def test_unknown_keywords_are_noticed():
    with pytest.raises(NotImplementedError, match="oneOf"):
        compile_schema({"oneOf": []})


def test_a_thousand_disks_in_100_ms(document):
    disk = document["disks"][1]
    document["disks"] = [
        {
            **disk,
            "id": f"disk-{number}",
            "local_path": f"/work/{number}.vmdk",
            "boot_order_hint": number,
        }
        for number in range(1000)
    ]
    document["disks"][0]["disk_type"] = "boot"
    validate(document)  # The validator is made at the first call.
    spent = []
    for _repetition in range(3):
        start = time.process_time()
        assert validate(document) == []
        spent.append(time.process_time() - start)
    assert min(spent) < 0.1
