# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""SELinux' labels on files that were written offline, where no policy is loaded that gives them.

A file that is written anew has no label, and a policy in force lets hardly anybody read it. The
label comes from the guest's own policy (selabel_file(5): file_contexts and the files beside it);
where that is missing, the guest is asked to label itself at its next boot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .files import GuestFileError, GuestFiles, read_text
from .network.globbing import expand
from .network.ifcfg import parse
from .repair import Repair

ATTRIBUTE = "security.selinux"
AUTORELABEL = "/.autorelabel"
_CONFIG = "/etc/selinux/config"
# What hyper2kvm and the guest's own tools write anew besides the paths of our repairs.
_WRITTEN = (
    "/etc/fstab",
    "/etc/crypttab",
    "/etc/default/grub",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/initramfs-tools/modules",
    "/etc/dracut.conf.d/*",
    "/etc/modules-load.d/*",
    "/etc/systemd/network",
    "/etc/systemd/network/*",
    "/etc/systemd/system/*",
    "/etc/systemd/system/*.wants/*",
    "/etc/sudoers.d/*",
    "/etc/NetworkManager/system-connections/*",
    "/etc/udev/rules.d/*",
    "/etc/cloud/cloud.cfg.d/*",
    "/home/*",
    "/home/*/.*",
    "/home/*/.ssh/*",
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/boot/grub2/grubenv",
    "/boot/initrd*",
    "/boot/initramfs*",
    "/boot/loader/entries/*",
    "/var/lib/initramfs-tools/*",
)
_META = re.compile(r"[.^$?*+|\[({\\]")
_KINDS = {"--": "file", "-d": "directory", "-l": "link"}


@dataclass(frozen=True)
class _Specification:
    """One line of file_contexts; `stem` is what every path that matches begins with."""

    pattern: str
    kind: str
    context: str
    stem: str

    def matches(self, path: str, kind: str) -> bool:
        """Tell whether it is for a path."""
        if self.kind not in ("", kind) or not path.startswith(self.stem):
            return False
        try:
            return re.fullmatch(self.pattern, path) is not None
        except (re.error, RecursionError):
            return False


@dataclass(frozen=True)
class Policy:
    """What a policy says of files' labels; of its specifications the first that matches counts."""

    specifications: tuple[_Specification, ...]
    substitutions: tuple[tuple[str, str], ...] = ()

    def label(self, path: str, kind: str = "file") -> str | None:
        """Return a path's label, None where the policy gives it none.

        Args:
            path: Absolute.
            kind: file, directory or link.
        """
        for source, target in self.substitutions:
            if path == source or path.startswith(f"{source}/"):
                path = target + path[len(source) :]
                break
        for each in self.specifications:
            if each.matches(path, kind):
                return None if each.context == "<<none>>" else each.context
        return None


def parse_policy(texts: Sequence[str], substitutions: Sequence[str] = ()) -> Policy:
    """Return a policy from the texts of file_contexts and of the files of substitutions."""
    patterns: list[_Specification] = []
    literals: list[_Specification] = []
    for text in texts:
        for line in text.splitlines():
            words = line.split()
            if len(words) not in (2, 3) or words[0].startswith("#"):
                continue
            if len(words) == 3 and words[1] not in _KINDS:
                continue
            kind = _KINDS[words[1]] if len(words) == 3 else ""
            pattern = words[0]
            meta = _META.search(pattern.replace("\\.", "\0"))
            if meta is None:
                plain = pattern.replace("\\.", ".")
                literals.append(_Specification(re.escape(plain), kind, words[-1], plain))
                continue
            # "?" and "*" take what stands before them back.
            stem = pattern.partition("\\")[0][: max(meta.start() - 1, 0)]
            if pattern[meta.start()] == "|":
                stem = ""
            patterns.append(_Specification(pattern, kind, words[-1], stem))
    pairs = []
    for text in substitutions:
        for line in text.splitlines():
            words = line.split()
            if len(words) == 2 and not words[0].startswith("#"):
                pairs.append((words[0].rstrip("/"), words[1].rstrip("/")))
    # The last line that matches counts, and one that is no pattern more than those that are.
    return Policy((*reversed(literals), *reversed(patterns)), tuple(pairs))


def policy_type(files: GuestFiles) -> str:
    """Return the name of the policy that a guest uses, "" when it uses none."""
    if not files.is_file(_CONFIG):
        return ""
    settings = parse(read_text(files, _CONFIG))
    if settings.get("SELINUX", "").lower() not in ("enforcing", "permissive"):
        return ""
    return settings.get("SELINUXTYPE", "targeted")


def label_written(files: GuestFiles, paths: Iterable[str]) -> list[Repair]:
    """Label what was written and has no label.

    Args:
        files: The guest.
        paths: What we wrote; what hyper2kvm writes is looked at too.

    Returns:
        What was done: nothing in a guest without SELinux.
    """
    name = policy_type(files)
    if not name:
        return []
    due = [path for path in _present(files, paths) if not _has_label(files, path)]
    if not due:
        return []
    policy = _policy(files, name)
    if policy is None:
        return _relabel(files)
    repairs: list[Repair] = []
    for path in due:
        label = policy.label(path, _kind(files, path))
        try:
            if label is not None:
                files.label(path, ATTRIBUTE, label.encode() + b"\0")
                repairs.append(Repair("Gave a file its SELinux label", path, "", label))
        except GuestFileError:  # a filesystem that takes none
            return [*repairs, *_relabel(files)]
    return repairs


def _relabel(files: GuestFiles) -> list[Repair]:
    if files.exists(AUTORELABEL):
        return []
    files.write(AUTORELABEL, b"")
    return [Repair("Asked the guest to label its files for SELinux when it boots", AUTORELABEL)]


def _present(files: GuestFiles, paths: Iterable[str]) -> list[str]:
    found = [path for path in paths if files.is_file(path) or files.readlink(path) is not None]
    found += [path for pattern in _WRITTEN for path in expand(files, pattern)]
    return list(dict.fromkeys(found))


def _kind(files: GuestFiles, path: str) -> str:
    if files.readlink(path) is not None:
        return "link"
    return "directory" if files.is_dir(path) else "file"


def _has_label(files: GuestFiles, path: str) -> bool:
    try:
        return ATTRIBUTE in files.attributes(path, follow=False).xattrs
    except GuestFileError:
        return True


def _policy(files: GuestFiles, name: str) -> Policy | None:
    place = f"/etc/selinux/{name}/contexts/files/file_contexts"

    def texts(*endings: str) -> list[str]:
        paths = [place + ending for ending in endings]
        return [read_text(files, path) for path in paths if files.is_file(path)]

    policy = parse_policy(texts("", ".homedirs", ".local"), texts(".subs_dist", ".subs"))
    return policy if policy.specifications else None
