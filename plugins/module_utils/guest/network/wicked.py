# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""wicked's own XML files.

Rules: wicked-config(5) and its samples. The files use name space prefixes that they don't declare,
so what stands before a colon is made part of the element's name.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from ..files import GuestFiles, read_text
from .interface import (
    BOND,
    BRIDGE,
    ETHERNET,
    VLAN,
    Interface,
    NetworkFileError,
    addresses,
    host,
    mac_address,
    number,
)

MANAGER = "wicked"
_DIRECTORY = "/etc/wicked/ifconfig"
_PREFIX = re.compile(r"(</?)([A-Za-z][\w.-]*):")
_KINDS = {"bond": BOND, "bridge": BRIDGE, "vlan": VLAN}


def read(files: GuestFiles) -> tuple[list[Interface], list[tuple[str, NetworkFileError]]]:
    """Return the interfaces of a guest's files, and what can't be read."""
    found: list[Interface] = []
    unreadable: list[tuple[str, NetworkFileError]] = []
    for name in files.list(_DIRECTORY):
        path = f"{_DIRECTORY}/{name}"
        if name.endswith(".xml") and files.is_file(path):
            try:
                found += parse(read_text(files, path), path)
            except NetworkFileError as error:
                unreadable.append((path, error))
    return found, unreadable


def parse(text: str, path: str) -> list[Interface]:
    """Return the interfaces of one file; NetworkFileError when it is no XML."""
    body = re.sub(r"^\s*<\?xml.*?\?>", "", text, flags=re.DOTALL)
    if "<!DOCTYPE" in body or "<!ENTITY" in body:
        raise NetworkFileError(f"The guest's {path} declares entities, which are not read.")
    plain = body.encode("utf-8", "replace").decode("utf-8")
    named = _PREFIX.sub(r"\1\2-", plain)
    try:
        root = ElementTree.fromstring(f"<all>{named}</all>")  # noqa: S314 - no entities in it
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise NetworkFileError(f"The guest's {path} is no XML: {error}.") from error
    return [
        _interface(element, path)
        for element in root.iter("interface")
        if element.find("name") is not None
    ]


def _interface(element: ElementTree.Element, path: str) -> Interface:
    label = element.find("name")
    name = _text(element, "name")
    mac = ""
    if label is not None and len(label):
        mac = mac_address("".join(label.itertext()))
        name = ""
    kind = next((_KINDS[each.tag] for each in element if each.tag in _KINDS), ETHERNET)
    lower = [
        each.text.strip()
        for way in ("./bond/slaves/slave/device", "./bridge/ports/port/device", "./vlan/device")
        for each in element.findall(way)
        if each.text
    ]
    tag = _text(element, "./vlan/tag")
    texts = [
        each.text or ""
        for family in ("ipv4-static", "ipv6-static")
        for each in element.findall(f"./{family}/address/local")
    ]
    gateways = [
        each.text or ""
        for family in ("ipv4-static", "ipv6-static")
        for route in element.findall(f"./{family}/route")
        if _text(route, "destination") in ("", "0.0.0.0/0", "::/0")
        for each in route.findall("./nexthop/gateway")
    ]
    dhcp = [element.find(f"./{family}") for family in ("ipv4-dhcp", "ipv6-dhcp")]
    return Interface(
        manager=MANAGER,
        path=path,
        id=name or mac or path,
        name=name,
        mac=mac,
        kind=kind,
        lower=tuple(lower),
        tag=number(tag),
        dhcp=any(
            each is not None and _text(each, "enabled") in ("", "true", "yes") for each in dhcp
        ),
        addresses=addresses(texts),
        gateway=next(filter(None, map(host, gateways)), ""),
        automatic=_text(element, "./control/mode") not in ("manual", "off"),
    )


def _text(element: ElementTree.Element, way: str) -> str:
    found = element.find(way)
    return (found.text or "").strip() if found is not None else ""
