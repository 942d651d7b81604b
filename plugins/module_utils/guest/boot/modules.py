# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kernel's modules: which there are, which are built in, and what one needs.

Read from what depmod wrote below /lib/modules/VERSION: modules.dep(5), modules.builtin, and
softdep and alias lines in the form of modprobe.d(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_MODULE_FILE = re.compile(r"(?:.*/)?([^/]+)\.ko(?:\.(?:gz|xz|zst|bz2|lzma))?$")


def module_name(path: str) -> str | None:
    """Return the name of the module in a file, as lsmod shows it; None when it is no module's."""
    match = _MODULE_FILE.match(path)
    return canonical(match.group(1)) if match else None


def canonical(name: str) -> str:
    """Return a module's name with the underscores that the kernel uses for hyphens."""
    return name.replace("-", "_")


@dataclass(frozen=True)
class ModuleIndex:
    """The modules of one kernel.

    Attributes:
        loadable: For each module, the modules that it needs directly or through others.
        built_in: Modules that are part of the kernel itself.
        soft: For each module, what its "softdep … pre:" lines name: modules or aliases.
        aliases: For each alias, the modules that provide it.
    """

    loadable: Mapping[str, tuple[str, ...]]
    built_in: frozenset[str]
    soft: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def has(self, module: str) -> bool:
        """Return whether the kernel can have the module at all."""
        return module in self.built_in or module in self.loadable

    def closure(self, module: str) -> tuple[str, ...]:
        """Return the loadable modules without which *module* can't work, itself first.

        Nothing for one that is built in. Of soft dependencies only the checksum crc32c counts,
        which ext4, XFS and btrfs ask for when they mount: the others of Debian's kernels are
        for features of which a filesystem uses one or none.
        """
        needed: list[str] = []
        waiting = [module]
        while waiting:
            name = waiting.pop(0)
            if name in needed or name in self.built_in or name not in self.loadable:
                continue
            needed.append(name)
            waiting += self.loadable[name]
            for wanted in self.soft.get(name, ()):
                if wanted.endswith("crc32c"):
                    waiting += self._provider(wanted)
        return tuple(needed)

    def _provider(self, wanted: str) -> tuple[str, ...]:
        """Return the module to take for a name or alias, () when one is built in.

        Several may provide it; those for some processors fail on others, the generic one never.
        """
        providers = [*self.aliases.get(wanted, ()), canonical(wanted)]
        if any(name in self.built_in for name in providers):
            return ()
        present = [name for name in providers if name in self.loadable]
        generic = [name for name in present if name.endswith("_generic")]
        return tuple((generic or present)[:1])


def parse_index(
    *, dependencies: str, built_in: str, soft_dependencies: str = "", aliases: str = ""
) -> ModuleIndex:
    """Return the index of a kernel's modules.

    Args:
        dependencies: The text of modules.dep.
        built_in: The text of modules.builtin.
        soft_dependencies: The text of modules.softdep.
        aliases: The text of modules.alias.
    """
    loadable: dict[str, tuple[str, ...]] = {}
    for line in dependencies.splitlines():
        path, separator, needed = line.partition(":")
        name = module_name(path.strip())
        if separator and name is not None:
            loadable[name] = _names(needed.split())
    return ModuleIndex(
        loadable=loadable,
        built_in=frozenset(_names(built_in.split())),
        soft=_soft(soft_dependencies),
        aliases=_aliases(aliases),
    )


def _names(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in map(module_name, paths) if name is not None)


def _soft(text: str) -> dict[str, tuple[str, ...]]:
    wanted: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 3 or words[0] != "softdep":
            continue
        before: list[str] = []
        taken = False
        for word in words[2:]:
            if word.endswith(":"):
                taken = word == "pre:"
            elif taken:
                before.append(word)
        name = canonical(words[1])
        wanted[name] = (*wanted.get(name, ()), *before)
    return wanted


def _aliases(text: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        words = line.split()
        # Those of devices (pci:…, cpu:…) are many, and asked for by no module.
        if len(words) == 3 and words[0] == "alias" and "crc32c" in words[1] and ":" not in words[1]:
            found[words[1]] = (*found.get(words[1], ()), canonical(words[2]))
    return found
