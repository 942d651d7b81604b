# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse XML from outside, by local names, without what makes XML dangerous."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from .findings import ManifestError

#: Generous: the descriptor of a VM with hundreds of devices has some 300 KB.
SIZE_LIMIT = 16 * 1024 * 1024
_DEPTH_LIMIT = 200


@dataclass
class Element:
    """An element: local names of itself and its attributes, since products differ in their namespaces."""

    name: str
    attributes: dict[str, str]
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, *names: str) -> Iterator[Element]:
        """Yield the children of one of these names."""
        return (child for child in self.children if child.name in names)

    def first(self, *path: str) -> Element | None:
        """Return the first element down the path of names, or None."""
        found: Element | None = self
        for name in path:
            found = next(found.all(name), None) if found is not None else None
        return found

    def value(self, *path: str) -> str:
        """Return the text of the first element down the path of names, or ""."""
        found = self.first(*path)
        return found.text.strip() if found is not None else ""

    def get(self, name: str) -> str:
        """Return an attribute, or ""."""
        return self.attributes.get(name, "")


def parse_xml(raw: bytes, name: str) -> Element:
    """Return the root of the XML text; name names it in errors.

    A document type is refused: entities in it can blow up memory or read files.

    Raises:
        ManifestError: It is too large, not well-formed, or has a document type.
    """
    if len(raw) > SIZE_LIMIT:
        raise ManifestError(
            f"{name} has {len(raw)} bytes, which is too much for an OVF descriptor."
        )
    root = Element("", {})
    open_elements = [root]
    parser = expat.ParserCreate(namespace_separator="\n")

    def start(tag: str, attributes: dict[str, str]) -> None:
        if len(open_elements) > _DEPTH_LIMIT:
            raise ManifestError(f"{name} is nested too deeply for an OVF descriptor.")
        element = Element(_local(tag), {_local(key): value for key, value in attributes.items()})
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def end(_tag: str) -> None:
        open_elements.pop()

    def characters(words: str) -> None:
        open_elements[-1].text += words

    def doctype(*_arguments: object) -> None:
        raise ManifestError(
            f"{name} has a document type (DOCTYPE), which no OVF descriptor needs.",
            action="Remove it.",
        )

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = doctype
    parser.buffer_text = True
    try:
        parser.Parse(raw, True)
    except expat.ExpatError as error:
        raise ManifestError(
            f"{name} is not well-formed XML: {error}.", action="Export the VM again."
        ) from error
    return root.children[0]


def _local(name: str) -> str:
    return name.rsplit("\n", 1)[-1]
