# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of sections, keys and values: systemd's and NetworkManager's.

Rules: systemd.syntax(7), and GLib's key files. A key may come several times, and so may a section.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """One section and its entries, in order."""

    name: str
    entries: tuple[tuple[str, str], ...]

    def all(self, key: str) -> list[str]:
        """Return a key's values. An empty one takes back those before it, as in systemd's files."""
        values: list[str] = []
        for each, value in self.entries:
            if each == key:
                values = [*values, value] if value else []
        return values

    def last(self, key: str) -> str:
        """Return a key's last value, "" when there is none."""
        return next((value for each, value in reversed(self.entries) if each == key), "")


def parse_sections(text: str) -> list[Section]:
    """Return a file's sections, in order; lines that are none of the format are passed over."""
    sections: list[tuple[str, list[tuple[str, str]]]] = []
    for line in _lines(text):
        if line.startswith("[") and line.endswith("]"):
            sections.append((line[1:-1], []))
        elif "=" in line and sections:
            key, _equals, value = line.partition("=")
            sections[-1][1].append((key.strip(), value.strip()))
    return [Section(name, tuple(entries)) for name, entries in sections]


def together(sections: list[Section], name: str) -> Section:
    """Return all sections of a name as one."""
    return Section(
        name, tuple(entry for each in sections if each.name == name for entry in each.entries)
    )


def _lines(text: str) -> list[str]:
    lines: list[str] = []
    pending = ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith(("#", ";")):
            continue
        pending += stripped
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
            continue
        if pending:
            lines.append(pending)
        pending = ""
    return [*lines, pending] if pending else lines
