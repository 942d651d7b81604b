# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The contract's pages, made from the schema: docs/artifact-manifest.md and docs/artifact-manifest.schema.json.

Write them with
``python -m ansible_collections.hypersdk.hyper2kvm.tests.support.manifest_reference docs``;
a test fails when they differ from what this makes.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.patterns import WORDS
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.profiles import (
    OWN,
    SETTINGS,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.schema import SCHEMA
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.strictness import (
    DIFFERENCES,
    FILE_DIFFERENCES,
)

PAGE = "artifact-manifest.md"
PUBLISHED = "artifact-manifest.schema.json"

_HEAD = """\
<!--
SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
SPDX-License-Identifier: GPL-3.0-or-later
-->

# The Artifact Manifest v1.0

`artifact-manifest.json` says what was exported from a VM, how to check it, and what hyper2kvm is to do with it.
[`artifact_manifest`](../plugins/modules/artifact_manifest.py) writes it,
[`artifact_manifest_info`](../plugins/modules/artifact_manifest_info.py) checks it, hypersdk's `hyperexport --manifest`
writes it too, and `hyper2kvm --manifest` acts on it.

This page is made from the contract's JSON Schema, [`artifact-manifest.schema.json`](artifact-manifest.schema.json).
Don't edit it: change the schema, then run
`python -m ansible_collections.hypersdk.hyper2kvm.tests.support.manifest_reference docs`.

The smallest manifest of one disk:

```json
{
  "manifest_version": "1.0",
  "disks": [
    {
      "id": "disk-0",
      "source_format": "vmdk",
      "bytes": 1073741824,
      "local_path": "/srv/migrate/web01/web01-disk1.vmdk"
    }
  ],
  "pipeline": {
    "fix": {"enabled": true},
    "convert": {"enabled": true}
  }
}
```

Fields that begin with `x-` are kept as they are, in the document and in `metadata`; any other field that is not on
this page is an error, because a misspelt field would silently not count.

## Fields

`[]` stands for each entry of a list.

"""

_STRICT = """
## Where the collection is stricter than hyper2kvm

hyper2kvm 0.2.1's loader accepts each of these; what it would then do is why it is refused here, by the schema and its
rules or, in the last rows, by `artifact_manifest_info`, which looks at the files. A test holds the two against each
other over generated manifests, and fails for any difference that is not in this table.

| refused here | what hyper2kvm would do |
| --- | --- |
"""

_FILES = """
## What is checked beside the document

`artifact_manifest_info` reports all of it in one list; errors mean that the disks must not be converted.

| check | severity |
| --- | --- |
| Each disk's file exists, is a regular file and can be read | error |
| `bytes` is the file's size | error |
| `source_format` is what the file's own header says, and the file needs no other file | error |
| `capacity` is what the file's own header says | error |
| `checksum` is the file's SHA-256, with `verify_checksums` | error |
| A stream-optimized VMDK is there to its end-of-stream marker, or to its last grain in qemu-img's form | error |
| A VHD is there to its footer, any other image as far as its own tables reach | error |
| The grains and tables of a stream-optimized VMDK agree, with `verify_checksums` | error |
| The `.mf` beside the disks agrees with the files, the descriptor and `checksum` | error |
| A line of that `.mf` that is no digest, or contradicts another | warning |
| The `.ovf` beside the disks agrees in file sizes and capacities | error |
| That `.ovf` has a disk's capacity where its file's size belongs, as some exporters write it | warning |
| That `.ovf` has a disk that `disks` has not | warning |
| The file of `profile` and the programs of `hooks` exist | error |
| `output.filename`, `compress_level` and `libvirt_integration.enabled`, which hyper2kvm 0.2.1 doesn't heed | warning |
| Two NICs with one MAC address | warning |
"""

_PROFILES = """
## Profiles of hyperexport

The lookup `hypersdk.hyper2kvm.export_profile` reads hyperexport's JSON profiles as they are, from `profiles/` in the
play's directory, that directory itself, and `~/.hyperexport/profiles`, and then knows the collection's own. What a task
sets wins over the profile, what the profile sets over the default. hyperexport writes every key, also one that was
never set, so a `false` counts as said; the manifest is written nevertheless where a verification or a conversion
follows. Whether one follows is the playbook's to say, not the profile's. These keys count:

| key in the file | option | variable of the role `migrate` |
| --- | --- | --- |
"""


def schema_text() -> str:
    """Return the schema as it is published."""
    return json.dumps(SCHEMA, indent=2, ensure_ascii=False) + "\n"


def page() -> str:
    """Return the page, in Markdown."""
    parts = [_HEAD]
    required = SCHEMA["required"]
    parts.append(_table(_rows("", SCHEMA["properties"], required, deep=False)))
    for name, schema in SCHEMA["properties"].items():
        rows = list(_nested(name, schema))
        if rows:
            parts.append(f"\n### {name}\n\n{schema['description']}\n\n")
            parts.append(_table(rows))
    parts.append(_STRICT)
    listed = [(each.what, each.why) for each in DIFFERENCES]
    listed += [(each.what, each.why) for each in FILE_DIFFERENCES]
    parts += [f"| {_cell(what)} | {_cell(why)} |\n" for what, why in listed]
    parts.append(_FILES)
    parts.append(_PROFILES)
    variables = role_variables()
    parts += [
        f"| `{key}` | `{option}` | `{variables[option]}` |\n"
        for key, (_kind, option) in SETTINGS.items()
    ]
    parts.append("\nThe collection's own:\n\n| name | what it is for |\n| --- | --- |\n")
    parts += [f"| `{name}` | {profile['description']} |\n" for name, profile in OWN.items()]
    return "".join(parts)


def role_variables() -> dict[str, str]:
    """Return the variable of the role migrate that each option of a profile is the default of."""
    defaults = Path(__file__).parents[2] / "roles" / "migrate" / "defaults" / "main.yml"
    values: dict[str, Any] = yaml.safe_load(defaults.read_text(encoding="utf-8"))
    found = {}
    for variable, value in values.items():
        match = re.search(r"__migrate_profile\.(\w+)", str(value))
        if match:
            found[match.group(1)] = variable
    return found


def _nested(name: str, schema: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    holder, prefix = (
        (schema["items"], f"{name}[].") if schema.get("type") == "array" else (schema, f"{name}.")
    )
    if "properties" in holder:
        yield from _rows(prefix, holder["properties"], holder.get("required", []), deep=True)


def _rows(
    prefix: str, members: dict[str, Any], required: list[str], *, deep: bool
) -> Iterator[tuple[str, str, str]]:
    for name, schema in members.items():
        kind = _kind(schema) + (", required" if name in required else "")
        yield f"{prefix}{name}", kind, schema.get("description", "")
        if deep:
            for row in _nested(name, schema):
                yield f"{prefix}{row[0]}", row[1], row[2]


def _kind(schema: dict[str, Any]) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "anything")
    words = " or ".join(kind) if isinstance(kind, list) else kind
    if kind == "array":
        words = f"list of {_kind(schema['items'])}"
    if "pattern" in schema and schema["pattern"] in WORDS:
        words += f": {WORDS[schema['pattern']]}"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None:
        words += f", {low} to {high}" if high is not None else f", {low} or more"
    return words


def _table(rows: Any) -> str:
    lines = ["| field | value | meaning |\n| --- | --- | --- |\n"]
    lines += [f"| `{name}` | {_cell(kind)} | {_cell(meaning)} |\n" for name, kind, meaning in rows]
    return "".join(lines)


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("<", "&lt;").replace("{{", "&#123;&#123;")


def main(directory: Path) -> None:
    """Write both files into the directory."""
    (directory / PAGE).write_text(page(), encoding="utf-8")
    (directory / PUBLISHED).write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
