# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A role's README.md, made of its argument_specs.yml, so that the two can't differ.

python -m ansible_collections.hypersdk.hyper2kvm.tests.support.role_readme DIRECTORY
writes it for each role in the collection that lies in DIRECTORY.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_HEADER = """\
<!--
SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
SPDX-License-Identifier: GPL-3.0-or-later
Made from meta/argument_specs.yml by tests/support/role_readme.py.
-->
"""
# Ansible's markup: I(x), C(x), V(x), O(x), E(x), M(x), P(x#role), R(x, y), L(x, y).
_MARKUP = re.compile(r"\b([ICVOEMPRBL])\(([^()]*)\)")


def readme(role: Path) -> str:
    """Return the README of the role in a directory."""
    specs: dict[str, dict[str, Any]] = _yaml(role / "meta" / "argument_specs.yml")["argument_specs"]
    parts = [_HEADER, f"# Role hypersdk.hyper2kvm.{role.name}\n"]
    options: dict[str, dict[str, Any]] = {}
    users: dict[str, list[str]] = {}
    if len(specs) > 1:
        parts.append("## Entry points\n")
    for entry, spec in specs.items():
        sentences = " ".join(_plain(text) for text in _list(spec["description"]))
        parts.append(f"- `{entry}`: {sentences}\n" if len(specs) > 1 else f"{sentences}\n")
        for name, option in spec.get("options", {}).items():
            options.setdefault(name, option)
            users.setdefault(name, []).append(entry)
    several = len(specs) > 1
    parts.append("\n## Variables\n")
    columns = ["Variable", "Type", "Default", "What it is"] + (["Entry points"] if several else [])
    rows = [columns, ["---"] * len(columns)]
    for name, option in options.items():
        row = [
            f"`{name}`",
            _type(option),
            _default(option),
            " ".join(_plain(text) for text in _list(option["description"])),
        ]
        if several:
            row.append("all" if len(users[name]) == len(specs) else ", ".join(users[name]))
        rows.append(row)
    table = "".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows
    )
    return "\n".join((*parts, table))


def problems(role: Path) -> list[str]:
    """Return a sentence for each default that is not described, or is described otherwise."""
    specs: dict[str, dict[str, Any]] = _yaml(role / "meta" / "argument_specs.yml")["argument_specs"]
    defaults: dict[str, Any] = _yaml(role / "defaults" / "main.yml") or {}
    described: dict[str, Mapping[str, Any]] = {}
    for spec in specs.values():
        described.update(spec.get("options", {}))
    found = [
        f"{name} has a default and no description" for name in defaults if name not in described
    ]
    for name, option in described.items():
        if "default" not in option:
            continue
        actual = defaults.get(name)
        if name not in defaults:
            found.append(f"{name} is said to have a default and has none")
        elif "{{" not in str(actual) and actual != option["default"]:
            found.append(f"{name} has the default {actual!r}, not {option['default']!r}")
    return found


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _type(option: Mapping[str, Any]) -> str:
    kind = str(option.get("type", "str"))
    if "elements" in option:
        kind += f" of {option['elements']}"
    if "choices" in option:
        kind += ": " + ", ".join(f"`{choice}`" for choice in option["choices"])
    return kind


def _default(option: Mapping[str, Any]) -> str:
    if option.get("required"):
        return "required"
    if "default" not in option:
        return ""
    value = option["default"]
    if isinstance(value, bool):
        value = str(value).lower()
    return f"`{value}`" if value != "" else "empty"


def _plain(text: str) -> str:
    def code(match: re.Match[str]) -> str:
        words = match[2].split(",")[0].strip()
        return words if match[1] in "BIL" else f"`{words.partition('#')[0]}`"

    return _MARKUP.sub(code, " ".join(text.split()))


def main(collection: Path) -> None:
    """Write the README of every role."""
    for specs in sorted(collection.glob("roles/*/meta/argument_specs.yml")):
        role = specs.parent.parent
        (role / "README.md").write_text(readme(role), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
