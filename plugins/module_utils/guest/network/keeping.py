# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeping a guest's network files over FIX: what they were, and putting that back.

What hyper2kvm 0.2.1 changes in a guest's network (fixers/network/discovery.py and
fixers/bootloader/post_conversion.py): files of every manager, written anew through a file beside
them, so that owner and extended attributes go; the links that enable NetworkManager-wait-online
and VMware's tools; and masks on the latter. It leaves copies of what it edits.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import unified_diff
from typing import Any

from ..files import Attributes, GuestFileError, GuestFiles
from ..repair import Repair
from .globbing import expand, walk

_DIRECTORIES = (
    "/etc/network",
    "/etc/netplan",
    "/etc/systemd/network",
    "/etc/NetworkManager",
    "/etc/sysconfig/network-scripts",
    "/etc/sysconfig/network",
    "/etc/wicked",
    "/etc/udev/rules.d",
    "/etc/cloud",
)
_PATTERNS = ("/etc/ifcfg-*", "/etc/sysconfig/network")
_UNITS = "/etc/systemd/system"
# Links that hyper2kvm takes away, each with the unit that it enables.
_ENABLED = {
    f"{_UNITS}/network-online.target.wants/NetworkManager-wait-online.service": "NetworkManager-wait-online.service",
    f"{_UNITS}/multi-user.target.wants/vmtoolsd.service": "vmtoolsd.service",
    f"{_UNITS}/multi-user.target.wants/vgauthd.service": "vgauthd.service",
    f"{_UNITS}/vmtoolsd.service.requires/vgauthd.service": "vgauthd.service",
}
_MASKED = (f"{_UNITS}/vmtoolsd.service", f"{_UNITS}/vgauthd.service")
_UNIT_PLACES = ("/usr/lib/systemd/system", "/lib/systemd/system", _UNITS)
# Where hyper2kvm leaves copies, besides the directories above.
_COPIED = (
    "/etc",
    "/etc/default",
    "/etc/kernel",
    "/etc/initramfs-tools",
    "/etc/dracut.conf.d",
    "/etc/modules-load.d",
    "/boot",
    "/boot/grub",
    "/boot/grub2",
    "/boot/loader/entries",
    "/boot/extlinux",
    "/boot/efi/EFI/*",
)
_COPY = re.compile(
    r"\.(backup\.hyper2kvm\.|bak\.hyper2kvm\.|hyper2kvm_backup|tmp\.hyper2kvm)|\.hyper2kvm\.(bak|backup)"
)
_FILE_LIMIT = 4 << 20
_SECRET = re.compile(
    r"(?i)^(.*(?:psk|passw|secret|wep-key|private-key|pin|phrase|token)[^=:]*[=:]).*$"
)
_SHOWN_LINES = 12


@dataclass(frozen=True)
class KeptFile:
    """A file's content and attributes, or a symbolic link's target."""

    content: bytes = b""
    attributes: Attributes = field(default_factory=lambda: Attributes(0o644))
    target: str | None = None


@dataclass(frozen=True)
class Kept:
    """What is put back after FIX, by path.

    Attributes:
        files: Network files and enabling links.
        absent: Paths of masks that were not there.
        copies: What looked like a copy of hyper2kvm's before.
    """

    files: Mapping[str, KeptFile]
    absent: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()

    def as_values(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "files": {path: _values(kept) for path, kept in self.files.items()},
            "absent": list(self.absent),
            "copies": list(self.copies),
        }

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Kept:
        """Return what as_values() was made of."""
        return cls(
            files={path: _kept(each) for path, each in values["files"].items()},
            absent=tuple(values["absent"]),
            copies=tuple(values["copies"]),
        )


def keep(files: GuestFiles) -> Kept:
    """Return a guest's network files as they are before FIX."""
    paths = [path for directory in _DIRECTORIES for path in walk(files, directory)]
    paths += [path for pattern in _PATTERNS for path in expand(files, pattern)]
    kept: dict[str, KeptFile] = {}
    for path in (*paths, *_ENABLED, *_MASKED):
        each = None if _COPY.search(path) else _look(files, path)
        if each is not None:
            kept[path] = each
    return Kept(
        files=kept,
        absent=tuple(path for path in _MASKED if path not in kept),
        copies=tuple(_copies(files)),
    )


def put_back(files: GuestFiles, kept: Kept, injected: Collection[str] = ()) -> list[Repair]:
    """Make a guest's network files what they were.

    Args:
        files: The guest after FIX.
        kept: What keep() returned before.
        injected: Paths that the user's own files for the guest went to; they win.

    Returns:
        What was changed.
    """
    repairs = []
    for path, each in kept.files.items():
        if path in injected or not _is_wanted(files, path):
            continue
        now = _look(files, path)
        if now == each:
            continue
        if each.target is not None:
            files.link(each.target, path)
        else:
            if files.readlink(path) is not None:
                files.remove(path)
            files.write(path, each.content, each.attributes)
        repairs.append(_put_back(path, now, each))
    for path in kept.absent:
        if path not in injected and files.readlink(path) == "/dev/null":
            files.remove(path)
            repairs.append(Repair("Took away hyper2kvm's mask", path, "/dev/null", ""))
    for path in _copies(files):
        if path not in kept.copies and path not in injected:
            files.remove(path)
            repairs.append(Repair("Took away the copy that hyper2kvm had left", path))
    return repairs


def injected_paths(configuration: Mapping[str, Any]) -> set[str]:
    """Return where a manifest's configuration changes what would be put back.

    The paths are hyper2kvm's (fixers/network_config_injector.py, service_config_injector.py).
    """
    network = configuration.get("network") or {}
    found = set()
    for each in network.get("network_files") or []:
        number, kind = each.get("priority", 50), each.get("type", "network")
        found.add(f"/etc/systemd/network/{number:02d}-{each['name']}.{kind}")
    for each in network.get("nm_connections") or []:
        found.add(f"/etc/NetworkManager/system-connections/{each['name']}.nmconnection")
    services = configuration.get("services") or {}
    for name in (*(services.get("disable") or []), *(services.get("mask") or [])):
        unit = name if name.endswith(".service") else f"{name}.service"
        found.add(f"{_UNITS}/{unit}")
        found.update(path for path, enabled in _ENABLED.items() if enabled == unit)
    return found


def is_network_file(path: str) -> bool:
    """Tell whether one of injected_paths() configures the network, and no service."""
    return not path.startswith(f"{_UNITS}/")


def _look(files: GuestFiles, path: str) -> KeptFile | None:
    target = files.readlink(path)
    if target is not None:
        return KeptFile(target=target)
    if not files.is_file(path):
        return None
    try:
        return KeptFile(files.read(path, _FILE_LIMIT), files.attributes(path))
    except GuestFileError:
        return None


def _is_wanted(files: GuestFiles, path: str) -> bool:
    """Tell whether a link has what it enables: not where the user had VMware's tools removed."""
    unit = _ENABLED.get(path)
    return unit is None or any(files.is_file(f"{place}/{unit}") for place in _UNIT_PLACES)


def _copies(files: GuestFiles) -> list[str]:
    found = [path for directory in _DIRECTORIES for path in walk(files, directory)]
    for pattern in _COPIED:
        for directory in expand(files, pattern):
            found += [f"{directory}/{name}" for name in files.list(directory)]
    return [path for path in dict.fromkeys(found) if _COPY.search(path.rpartition("/")[2])]


def _put_back(path: str, now: KeptFile | None, then: KeptFile) -> Repair:
    if then.target is not None:
        return Repair("Put back a link that hyper2kvm had taken away", path, "", then.target)
    if now is None or now.target is not None:
        return Repair("Put back a network file that hyper2kvm had taken away", path)
    if now.content == then.content:
        return Repair(
            "Put back a network file's mode, owner or extended attributes",
            path,
            _described(now.attributes),
            _described(then.attributes),
        )
    before, after = _changed_lines(now.content, then.content)
    return Repair("Put back a network file that hyper2kvm had changed", path, before, after)


def _described(attributes: Attributes) -> str:
    names = "".join(f" {name}" for name in sorted(attributes.xattrs))
    return f"{attributes.mode:04o} {attributes.uid}:{attributes.gid}{names}"


def _changed_lines(now: bytes, then: bytes) -> tuple[str, str]:
    """Return the lines that differ; what looks like a secret is not shown."""
    old, new = (each.decode("utf-8", "replace").splitlines() for each in (now, then))
    lines = list(unified_diff(old, new, lineterm="", n=0))[2:]

    def side(sign: str) -> str:
        chosen = [_SECRET.sub(r"\1 …", line[1:]) for line in lines if line.startswith(sign)]
        return "\n".join(chosen[:_SHOWN_LINES])

    return side("-"), side("+")


def _values(kept: KeptFile) -> dict[str, Any]:
    if kept.target is not None:
        return {"target": kept.target}
    attributes = kept.attributes
    return {
        "content": base64.b64encode(kept.content).decode("ascii"),
        "mode": attributes.mode,
        "uid": attributes.uid,
        "gid": attributes.gid,
        "xattrs": {
            name: base64.b64encode(value).decode("ascii")
            for name, value in attributes.xattrs.items()
        },
    }


def _kept(values: Mapping[str, Any]) -> KeptFile:
    if "target" in values:
        return KeptFile(target=values["target"])
    xattrs = {name: base64.b64decode(value) for name, value in values["xattrs"].items()}
    attributes = Attributes(values["mode"], values["uid"], values["gid"], xattrs)
    return KeptFile(base64.b64decode(values["content"]), attributes)
