# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What names a guest's NICs: udev's rules, systemd's .link files, the kernel's command line.

Rules: systemd.link(5), udev(7), systemd-udevd.service(8) for net.ifnames=0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..files import GuestFiles, read_text
from .globbing import expand
from .interface import mac_address
from .networkd import unit_files, with_drop_ins
from .sections import Section, together

RULES = "/etc/udev/rules.d"
LINKS = "/etc/systemd/network"
_UDEV = ("/usr/lib/udev", "/lib/udev")
_LINK_DIRECTORIES = (
    "/lib/systemd/network",
    "/usr/lib/systemd/network",
    "/usr/local/lib/systemd/network",
    LINKS,
)
_SYSTEMD = ("/usr/lib/systemd", "/lib/systemd", "/usr/lib/*/systemd", "/lib/*/systemd")
_SHARED = re.compile(r"libsystemd-shared-(\d{1,4})\b")
_COMMAND_LINES = (
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/boot/efi/EFI/*/grub.cfg",
    "/boot/loader/entries/*.conf",
    "/efi/loader/entries/*.conf",
    "/boot/grub2/grubenv",
    "/boot/grub/menu.lst",
    "/boot/grub/grub.conf",
    "/boot/extlinux/extlinux.conf",
    "/etc/kernel/cmdline",
)
_DEFAULTS = "/etc/default/grub"
_SWITCH = re.compile(r"(?<![\w.])(net\.ifnames|biosdevname)=(\d+)")
_BOOT_LINE = re.compile(r"\s*(?:linux(?:16|efi)?|kernel|append|options|kernelopts=)", re.IGNORECASE)


@dataclass(frozen=True)
class Naming:
    """One rule that gives a NIC its name.

    `mac` is "" where the rule goes by something else, which `found_by` says then; `order` is its
    file's name, since the first .link file that matches is the one that counts.
    """

    path: str
    name: str
    mac: str
    found_by: str = ""

    @property
    def order(self) -> str:
        """The file's name."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Udev:
    """How a guest names its NICs.

    Attributes:
        rules: Names that udev's rules give.
        links: Names that .link files give.
        reads_links: Whether its udev reads .link files.
        predictable: Whether its udev makes names such as ens192.
        systemd: The number of its systemd's version, 0 where it is older than 231 or has none.
        ifnames: What net.ifnames on the command line is, "" when it isn't there.
        biosdevname: The same for biosdevname.
    """

    rules: tuple[Naming, ...] = ()
    links: tuple[Naming, ...] = ()
    reads_links: bool = True
    predictable: bool = True
    systemd: int = 0
    ifnames: str = ""
    biosdevname: str = ""


def read(files: GuestFiles) -> Udev:
    """Return how a guest names its NICs."""
    switches = command_line(files)
    ifnames = switches.get("net.ifnames", "")
    reads_links = _active(files, "80-net-setup-link.rules")
    predictable = reads_links or _active(files, "80-net-name-slot.rules")
    # An administrator's 99-default.link that is empty turns NamePolicy= off.
    default = f"{LINKS}/99-default.link"
    overridden = files.readlink(default) == "/dev/null" or (
        files.is_file(default) and "NamePolicy" not in read_text(files, default)
    )
    rules = [
        naming
        for name in files.list(RULES)
        if name.endswith(".rules") and files.is_file(f"{RULES}/{name}")
        for naming in parse_rules(read_text(files, f"{RULES}/{name}"), f"{RULES}/{name}")
    ]
    links = [
        naming
        for path in unit_files(files, ".link", _LINK_DIRECTORIES)
        for naming in parse_link(with_drop_ins(files, path), path)
    ]
    return Udev(
        rules=tuple(rules),
        links=tuple(links),
        reads_links=reads_links,
        predictable=predictable and ifnames != "0" and not overridden,
        systemd=_version(files),
        ifnames=ifnames,
        biosdevname=switches.get("biosdevname", ""),
    )


def parse_rules(text: str, path: str) -> list[Naming]:
    """Return the names that a udev rules file gives to network interfaces."""
    found = []
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        if line.lstrip().startswith("#"):
            continue
        keys = re.findall(r'([A-Z]+(?:\{[^}]*\})?)\s*(==|!=|:=|\+=|=)\s*"([^"]*)"', line)
        name = next((v for k, sign, v in keys if k == "NAME" and sign in ("=", ":=")), "")
        if not name or "$" in name or "%" in name:
            continue
        if not any(k == "SUBSYSTEM" and v == "net" for k, _sign, v in keys):
            continue
        macs = [mac_address(v) for k, s, v in keys if k == "ATTR{address}" and s == "=="]
        others = [
            f"{key} {value}"
            for key, sign, value in keys
            if sign == "=="
            and (key in ("DRIVERS", "KERNELS", "ID_PATH", "ENV{ID_PATH}", "DRIVER"))
            and value not in ("?*", "*")
        ]
        found.append(Naming(path, name, macs[0] if macs else "", " ".join(others)))
    return found


def parse_link(sections: list[Section], path: str) -> list[Naming]:
    """Return the names that a .link file gives: one for each MAC address that it matches."""
    match, link = together(sections, "Match"), together(sections, "Link")
    name = link.last("Name")
    if not name:
        return []
    words = " ".join([*match.all("MACAddress"), *match.all("PermanentMACAddress")]).split()
    others = " ".join(
        f"{key} {value}" for key in ("Driver", "Path", "OriginalName") for value in match.all(key)
    )
    return [Naming(path, name, mac_address(word), others) for word in words or [""]]


def command_line(files: GuestFiles) -> dict[str, str]:
    """Return what net.ifnames and biosdevname are where the kernel is started.

    The first entry of the boot loader's own files counts, of entries in files of their own the
    last by name; /etc/default/grub, from which such a file is made, where there is none.
    """
    for pattern in _COMMAND_LINES:
        for path in reversed(expand(files, pattern)):
            if files.is_file(path):
                for line in read_text(files, path).splitlines():
                    # $kernelopts is what grubenv holds.
                    if "$kernelopts" in line:
                        continue
                    if _BOOT_LINE.match(line) or path == "/etc/kernel/cmdline":
                        return dict(_SWITCH.findall(line))
    found: dict[str, str] = {}
    if files.is_file(_DEFAULTS):
        for line in read_text(files, _DEFAULTS).splitlines():
            if line.lstrip().startswith("GRUB_CMDLINE_LINUX"):
                found.update(_SWITCH.findall(line))
    return found


def _active(files: GuestFiles, rules: str) -> bool:
    """Tell whether udev has these rules, which a file of the same name in /etc takes away."""
    own = f"{RULES}/{rules}"
    if files.readlink(own) is not None or files.is_file(own):
        return files.is_file(own) and "net_setup_link" in read_text(files, own)
    return any(files.is_file(f"{place}/rules.d/{rules}") for place in _UDEV)


def _version(files: GuestFiles) -> int:
    numbers = [
        int(match.group(1))
        for pattern in _SYSTEMD
        for directory in expand(files, pattern)
        for match in map(_SHARED.match, files.list(directory))
        if match is not None
    ]
    return max(numbers, default=0)
