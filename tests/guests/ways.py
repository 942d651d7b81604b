# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ways to configure a guest's network, several of them in one guest.

All their files lie in the guest where they belong, so that a conversion meets
all of them; at boot all but one way's are taken away. Which one stays is said
by the firmware's tables (SMBIOS: the system's family), and done at the end of
the initramfs, before the system's own start reads any of them.

Each way gives each NIC an address of its own, so that the one that answers
shows which way was in force.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.guests import namespace, system
from ansible_collections.hypersdk.hyper2kvm.tests.guests.guest import Nic, Way

# Name on ESXi by its PCI slot, MAC address.
FIRST = ("ens192", "00:50:56:8a:20:01", 192)
SECOND = ("ens224", "00:50:56:8a:20:02", 224)
_NETWORKS = ("192.0.2", "198.51.100")
_VLAN = 30
_TAGGED = "203.0.113.10/24"

_MANAGERS = {
    "ifupdown": ("networking.service",),
    "netplan": ("systemd-networkd.service", "systemd-networkd.socket"),
    "networkd": ("systemd-networkd.service", "systemd-networkd.socket"),
    "NetworkManager": ("NetworkManager.service",),
}


@dataclass(frozen=True)
class _Recipe:
    """A way, the manager that carries it out, and its files for given NICs."""

    title: str
    manager: str
    files: Callable[[Sequence[Nic]], Mapping[str, str]]
    vlan: int = 0


def _ifupdown_static(nics: Sequence[Nic]) -> Mapping[str, str]:
    text = "".join(
        f"allow-hotplug {nic.name}\niface {nic.name} inet static\n\taddress {nic.address}\n\n"
        for nic in nics
    )
    return {"/etc/network/interfaces.d/static": text}


def _ifupdown_dhcp(nics: Sequence[Nic]) -> Mapping[str, str]:
    text = "".join(f"allow-hotplug {nic.name}\niface {nic.name} inet dhcp\n\n" for nic in nics)
    return {"/etc/network/interfaces.d/dhcp": text}


def _netplan(by_mac: bool) -> Callable[[Sequence[Nic]], Mapping[str, str]]:
    def files(nics: Sequence[Nic]) -> Mapping[str, str]:
        text = "network:\n  version: 2\n  ethernets:\n"
        for nic in nics:
            text += f"    {nic.name}:\n"
            if by_mac:
                text += f"      match:\n        macaddress: {nic.mac}\n"
                text += f"      set-name: {nic.name}\n"
            text += f"      addresses:\n      - {nic.address}\n"
        return {f"/etc/netplan/{'50-cloud-init' if by_mac else '01-netcfg'}.yaml": text}

    return files


def _networkd(by_mac: bool) -> Callable[[Sequence[Nic]], Mapping[str, str]]:
    def files(nics: Sequence[Nic]) -> Mapping[str, str]:
        made = {}
        for number, nic in enumerate(nics):
            match = f"MACAddress={nic.mac}" if by_mac else f"Name={nic.name}"
            name = f"{'10-mac' if by_mac else '20-name'}-{number}"
            made[f"/etc/systemd/network/{name}.network"] = (
                f"[Match]\n{match}\n\n[Network]\nDHCP=no\nAddress={nic.address}\n"
            )
        return made

    return files


def _keyfiles(by_mac: bool) -> Callable[[Sequence[Nic]], Mapping[str, str]]:
    def files(nics: Sequence[Nic]) -> Mapping[str, str]:
        made = {}
        for number, nic in enumerate(nics):
            name = f"{'mac' if by_mac else 'name'}-{number}"
            identity = f"0c5c5d2e-0000-4000-8000-00000000{int(by_mac)}{number:03d}"
            interface = "" if by_mac else f"interface-name={nic.name}\n"
            ethernet = f"mac-address={nic.mac.upper()}\n" if by_mac else ""
            made[f"/etc/NetworkManager/system-connections/{name}.nmconnection"] = (
                f"[connection]\nid={name}\nuuid={identity}\ntype=ethernet\n{interface}\n"
                f"[ethernet]\n{ethernet}\n"
                f"[ipv4]\nmethod=manual\naddress1={nic.address}\n\n[ipv6]\nmethod=link-local\n"
            )
        return made

    return files


def _bond(nics: Sequence[Nic]) -> Mapping[str, str]:
    """Round robin: each NIC takes frames, so one that is not in the bond is found out."""
    place = "/etc/systemd/network"
    vlan = f"bond0.{_VLAN}"
    made = {
        f"{place}/30-bond0.netdev": (
            "[NetDev]\nName=bond0\nKind=bond\n\n[Bond]\nMode=balance-rr\nMIIMonitorSec=1s\n"
        ),
        f"{place}/31-bond0.network": f"[Match]\nName=bond0\n\n[Network]\nVLAN={vlan}\n",
        f"{place}/32-{vlan}.netdev": f"[NetDev]\nName={vlan}\nKind=vlan\n\n[VLAN]\nId={_VLAN}\n",
        f"{place}/33-{vlan}.network": (
            f"[Match]\nName={vlan}\n\n[Network]\nAddress={nics[0].address}\n"
        ),
    }
    for number, nic in enumerate(nics):
        made[f"{place}/34-port-{number}.network"] = (
            f"[Match]\nName={nic.name}\n\n[Network]\nBond=bond0\n"
        )
    return made


_RECIPES = {
    "ifupdown-static": _Recipe("ifupdown, static, by name", "ifupdown", _ifupdown_static),
    "ifupdown-dhcp": _Recipe("ifupdown, DHCP, by name", "ifupdown", _ifupdown_dhcp),
    "netplan-mac": _Recipe(
        "netplan, `match.macaddress` and `set-name`", "netplan", _netplan(by_mac=True)
    ),
    "netplan-name": _Recipe("netplan, by name", "netplan", _netplan(by_mac=False)),
    "networkd-mac": _Recipe("systemd-networkd, by MAC", "networkd", _networkd(by_mac=True)),
    "networkd-name": _Recipe("systemd-networkd, by name", "networkd", _networkd(by_mac=False)),
    "nm-mac": _Recipe("NetworkManager keyfiles, by MAC", "NetworkManager", _keyfiles(by_mac=True)),
    "nm-name": _Recipe(
        "NetworkManager keyfiles, by name", "NetworkManager", _keyfiles(by_mac=False)
    ),
    "bond-vlan": _Recipe(
        "systemd-networkd, a bond of two NICs with a VLAN on it", "networkd", _bond, vlan=_VLAN
    ),
}
ALL = tuple(_RECIPES)


def way(name: str) -> Way:
    """Return a way with its NICs and addresses."""
    recipe = _RECIPES[name]
    host = 10 + ALL.index(name)
    nics = []
    for (interface, mac, slot), network in zip((FIRST, SECOND), _NETWORKS):
        address = _TAGGED if recipe.vlan else f"{network}.{host}/24"
        nics.append(Nic(interface, mac, slot, address=address, network=f"{network}.0/24"))
    return Way(name=name, title=recipe.title, nics=tuple(nics), vlan=recipe.vlan)


_HOOK = """\
#!/bin/sh
# Keep the files of one way to configure the network; its name is in the firmware's tables.
case "$1" in prereqs) exit 0 ;; esac
read -r way < /sys/class/dmi/id/product_family || way=
# The initramfs' own mount wants a type and a device, which a remount ignores.
mount -o remount,rw -t none none "${rootmnt}"
chroot "${rootmnt}" /usr/local/sbin/choose-way "$way"
mount -o remount,ro -t none none "${rootmnt}"
"""

# Where none is named, the first is in force.
_CHOOSE = """\
#!/bin/sh
# Take away the files of all ways but one, and mask the managers of the others.
cd /usr/local/lib/ways || exit 0
way=$1
[ -f "$way.files" ] || read -r way < default
for list in *.files; do
    [ "$list" = "$way.files" ] || while read -r file; do rm -f "$file"; done < "$list"
done
while read -r unit; do
    grep -qx "$unit" "$way.units" || ln -sf /dev/null "/etc/systemd/system/$unit"
done < units
touch in-force && printf '\\nGUEST-FACT way %s\\n' "$way"
"""


def configure(tree: Path, names: Sequence[str]) -> tuple[Way, ...]:
    """Put several ways into a guest, with what keeps one of them at boot.

    Args:
        tree: The guest's tree, with the managers' packages.
        names: The ways; the first is in force when none is named.
    """
    ways = tuple(way(name) for name in names)
    place = "/usr/local/lib/ways"
    system.write(
        tree,
        "/etc/network/interfaces",
        "source /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n",
    )
    units = []
    for each in ways:
        recipe = _RECIPES[each.name]
        files = recipe.files(each.nics)
        for path, content in files.items():
            system.write(tree, path, content)
            (tree / path.lstrip("/")).chmod(0o600 if "NetworkManager" in path else 0o644)
        own = _MANAGERS[recipe.manager]
        units += [unit for unit in own if unit not in units]
        system.write(tree, f"{place}/{each.name}.files", "".join(f"{path}\n" for path in files))
        system.write(tree, f"{place}/{each.name}.units", "".join(f"{unit}\n" for unit in own))
    system.write(tree, f"{place}/units", "".join(f"{unit}\n" for unit in units))
    system.write(tree, f"{place}/default", f"{names[0]}\n")
    programs = {
        "/usr/local/sbin/choose-way": _CHOOSE,
        "/etc/initramfs-tools/scripts/init-bottom/choose-way": _HOOK,
    }
    for path, content in programs.items():
        system.write(tree, path, content)
        (tree / path.lstrip("/")).chmod(0o755)
    services = [unit for unit in units if unit.endswith(".service")]
    namespace.run_inside(tree, f"systemctl enable {' '.join(services)}", seconds=60)
    return ways
