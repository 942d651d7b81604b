# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What we accept and refuse, held against hyper2kvm's own loader over generated manifests, both ways."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.findings import errors_of
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.schema import DISK, SCHEMA
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.strictness import (
    DIFFERENCES,
    unlisted,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.validating import validate
from ansible_collections.hypersdk.hyper2kvm.tests.support.hyper2kvm_loader import interpreter
from ansible_collections.hypersdk.hyper2kvm.tests.support.schema_values import ANYTHING, fitting

# Loads each manifest whose path it reads, with a loader of its own, and says what happened.
_WORKER = """
import json, logging, sys
from hyper2kvm.manifest.loader import ManifestLoader, ManifestValidationError
logging.disable(logging.CRITICAL)
for line in sys.stdin:
    loader = ManifestLoader()
    try:
        loader.load(line.rstrip("\\n"))
        answer = {"accepted": True, "boot_disk": loader.get_boot_disk().id}
    except Exception as error:
        answer = {"accepted": False, "error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
"""


class Loader:
    """hyper2kvm's loader, in a process with hyper2kvm's own interpreter."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "manifest.json"
        self.process = subprocess.Popen(
            [interpreter(), "-c", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=directory,
        )

    def load(self, document: Any) -> dict[str, Any]:
        self.path.write_text(json.dumps(document), encoding="utf-8")
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{self.path}\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        assert self.process.wait(timeout=60) == 0
        self.process.stdout.close()


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loader]:
    directory = tmp_path_factory.mktemp("contract")
    for number in range(4):
        (directory / f"disk{number}").touch()
    (directory / "mine.yaml").write_text("pipeline: {fix: {enabled: true}}\n")
    worker = Loader(directory)
    yield worker
    worker.close()


@st.composite
def valid_documents(draw: st.DrawFn, directory: Path) -> dict[str, Any]:
    """Manifests that our schema accepts, whose files exist."""
    count = draw(st.integers(1, 4))
    disks = [draw(_DISKS) for _number in range(count)]
    order = draw(st.permutations(range(count)))
    for number, disk in enumerate(disks):
        disk.update(id=f"disk-{number}", local_path=str(directory / f"disk{number}"))
        if count > 1:
            disk["boot_order_hint"] = order[number]
        disk["disk_type"] = "boot" if order[number] == 0 else "data"
    document: dict[str, Any] = {"manifest_version": "1.0", "disks": disks}
    for name in draw(st.sets(st.sampled_from(sorted(_SECTIONS)))):
        document[name] = draw(_SECTIONS[name])
    if draw(st.booleans()):
        document |= {"profile": "mine", "profiles_directory": str(directory)}
    if "profile" not in document:
        document.pop("profile_overrides", None)
        document.setdefault("pipeline", {"fix": {"enabled": True}})
    assume(not errors_of(validate(document)))
    return document


_DISKS = fitting(DISK)
_SECTIONS = {
    name: fitting(schema)
    for name, schema in SCHEMA["properties"].items()
    if name not in ("manifest_version", "disks", "profile", "profiles_directory")
}
_WORDS = [
    *["vmdk", "vmdx", "raw", "efi", "uefi", "boot", "data", "swap", "disk-0", "1.0", "/", ".", "~"],
    "disk-0\n",
    f"sha256:{64 * 'a'}",
    f"sha256:{64 * 'A'}",
    f"sha256:{64 * 'a'}\n",
]
_INTERESTING = ANYTHING | st.sampled_from(_WORDS)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of everything in a document."""
    members = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, member in members:
        yield (*path, key)
        yield from places(member, (*path, key))


def put(document: Any, place: tuple[Any, ...], value: Any, *, remove: bool = False) -> Any:
    """Return a copy of the document with a value put at a place, or taken away from it."""
    changed = copy.deepcopy(document)
    holder = changed
    for key in place[:-1]:
        holder = holder[key]
    if remove:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    return changed


_SETTINGS = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
    ],
)


@_SETTINGS
@given(data=st.data())
def test_hyper2kvm_loads_what_we_accept(loader: Loader, data: st.DataObject) -> None:
    document = data.draw(valid_documents(loader.path.parent))
    answer = loader.load(document)
    assert answer["accepted"], answer
    boots = [disk["id"] for disk in document["disks"] if disk["disk_type"] == "boot"]
    assert answer["boot_disk"] in boots


def test_what_only_we_refuse_is_listed(loader: Loader) -> None:
    """Valid manifests with one thing changed: both verdicts agree, or the difference is deliberate."""
    verdicts: Counter[str] = Counter()

    @_SETTINGS
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        document = data.draw(valid_documents(loader.path.parent))
        known = list(places(document))
        # The sections with rules get as many changes as all the others together.
        weighty = [
            place for place in known if place[0] in ("disks", "vm", "manifest_version", "pipeline")
        ]
        place = data.draw(st.sampled_from(weighty) | st.sampled_from(known))
        how = data.draw(st.sampled_from(["replace", "remove", "rename"]))
        if how == "rename" and isinstance(place[-1], str):
            document = put(document, place, None, remove=True)
            place = (*place[:-1], place[-1] + data.draw(st.text("abc_", min_size=1, max_size=2)))
        changed = put(document, place, data.draw(_INTERESTING), remove=how == "remove")
        errors = errors_of(validate(changed))
        answer = loader.load(changed)
        verdicts[
            f"{'accepted' if answer['accepted'] else 'refused'}/{'refused' if errors else 'accepted'}"
        ] += 1
        if not errors:
            assert answer["accepted"], (answer, place)
        elif answer["accepted"]:
            assert not unlisted(errors), unlisted(errors)

    check()
    # hyper2kvm's verdict/ours: the test has seen every kind that may be.
    assert set(verdicts) == {"accepted/accepted", "accepted/refused", "refused/refused"}, verdicts


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.what)
def test_every_listed_difference_is_one(loader: Loader, difference: Any) -> None:
    directory = loader.path.parent
    document: dict[str, Any] = {
        "manifest_version": "1.0",
        "vm": {"cpu": 1, "firmware": "bios", "os_hint": "linux"},
        "disks": [
            {
                "id": f"disk-{number}",
                "source_format": "raw",
                "bytes": 0,
                "local_path": str(directory / f"disk{number}"),
                "boot_order_hint": number,
                "disk_type": "data" if number else "boot",
            }
            for number in range(2)
        ],
        "pipeline": {"fix": {"enabled": True}},
        "output": {"format": "qcow2"},
    }
    assert validate(document) == []
    assert loader.load(document)["accepted"]
    where, value = difference.example
    place = tuple(int(part) if part.isdigit() else part for part in re.findall(r"[\w-]+", where))
    if value == "/":
        value = document["disks"][0]["local_path"]
    changed = put(document, place, value, remove=value == "-")
    assert loader.load(changed)["accepted"]
    errors = errors_of(validate(changed))
    assert errors and all(difference.covers(error) for error in errors), errors


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("vm", "firmware"), "efi"),
        (("vm", "mem_gb"), 0.5),
        (("disks", 0, "checksum"), None),
        (("disks", 0, "checksum"), "md5:" + "a" * 32),
        (("disks", 0, "source_format"), "ova"),
        (("disks", 0, "bytes"), 1.0),
    ],
)
def test_both_refuse(loader: Loader, place: tuple[Any, ...], value: Any) -> None:
    document = {
        "manifest_version": "1.0",
        "vm": {"cpu": 1},
        "disks": [
            {
                "id": "disk-0",
                "source_format": "raw",
                "bytes": 0,
                "local_path": str(loader.path.parent / "disk0"),
            }
        ],
        "pipeline": {"fix": {"enabled": True}},
    }
    changed = put(document, place, value)
    assert not loader.load(changed)["accepted"]
    assert errors_of(validate(changed))
