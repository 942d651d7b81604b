# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guest's own tools that make an initramfs: initramfs-tools, dracut, mkinitcpio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..files import GuestFiles, text_of, write_text
from ..repair import Repair

INITRAMFS_TOOLS_MODULES = "/etc/initramfs-tools/modules"
_DRACUT_DROP_IN = "/etc/dracut.conf.d/90-hyper2kvm.conf"
_MKINITCPIO = "/etc/mkinitcpio.conf"
_MKINITCPIO_DROP_IN = "/etc/mkinitcpio.conf.d/90-hyper2kvm.conf"
_MARK = "# Needed on KVM; written by the Ansible collection hypersdk.hyper2kvm."
# dracut's own modules for the programs that it may leave out, since it looks at the machine it
# runs on, and here that is libguestfs' appliance.
DRACUT_MODULES = {"lvm": "lvm", "mdadm": "mdraid", "cryptsetup": "crypt"}


@dataclass(frozen=True)
class Tool:
    """A tool that makes an initramfs: its name, and the path of its program."""

    name: str
    program: str


_TOOLS = (
    Tool("initramfs-tools", "/usr/sbin/update-initramfs"),
    Tool("dracut", "/usr/bin/dracut"),
    Tool("dracut", "/usr/sbin/dracut"),
    Tool("dracut", "/sbin/dracut"),
    Tool("mkinitcpio", "/usr/bin/mkinitcpio"),
)


def find_tool(files: GuestFiles) -> Tool | None:
    """Return the tool that a guest has, None when it is none of ours."""
    return next((tool for tool in _TOOLS if files.exists(tool.program)), None)


def list_modules(
    files: GuestFiles, tool: Tool, modules: Sequence[str], programs: Sequence[str] = ()
) -> list[Repair]:
    """Have the tool put modules (and programs) into every initramfs that it makes.

    Returns:
        What was written; nothing when it was there already.
    """
    if tool.name == "initramfs-tools":
        return _append_modules(files, modules)
    if not (modules or programs):
        return []
    if tool.name == "dracut":
        lines = [_MARK, f'add_drivers+=" {" ".join(modules)} "']
        wanted = [DRACUT_MODULES[name] for name in programs if name in DRACUT_MODULES]
        if wanted:
            lines.append(f'add_dracutmodules+=" {" ".join(wanted)} "')
        return _write(files, _DRACUT_DROP_IN, "\n".join(lines) + "\n", "dracut")
    # One list for all kernels, of which not each may have every module: "?" says so.
    line = "MODULES+=(" + " ".join(f'"{module}?"' for module in modules) + ")"
    if files.is_dir("/etc/mkinitcpio.conf.d"):
        return _write(files, _MKINITCPIO_DROP_IN, f"{_MARK}\n{line}\n", "mkinitcpio")
    before = text_of(files, _MKINITCPIO)
    if line in before.splitlines():
        return []
    return _write(files, _MKINITCPIO, f"{_ended(before)}{_MARK}\n{line}\n", "mkinitcpio")


def listed_modules(text: str) -> dict[str, str]:
    """Return the lines of /etc/initramfs-tools/modules by the module that each names.

    initramfs-tools takes a line for a comment only when it begins with "#": in "ext4# Added" the
    module is "ext4#", which there is not.
    """
    lines = {}
    for line in text.splitlines():
        words = line.split()
        if words and not line.startswith("#"):
            lines[words[0]] = line
    return lines


def put_back_listed(files: GuestFiles, original: str) -> list[Repair]:
    """List again the modules that the guest's owner listed and that are no longer.

    hyper2kvm 0.2.1 appends its own after taking away the newline at the file's end, so that the
    last module becomes part of a comment.

    Args:
        files: The guest, after FIX.
        original: The file's text before.
    """
    lost = lost_modules(files, original)
    if not lost:
        return []
    text = text_of(files, INITRAMFS_TOOLS_MODULES)
    before, after = [], []
    for line in lost:
        glued = next((one for one in text.splitlines() if one.startswith(f"{line}#")), None)
        if glued is not None:
            parted = f"{line}\n{glued[len(line) :]}"
            text = text.replace(glued, parted, 1)
            before.append(glued)
            after.append(parted)
        else:
            text = f"{_ended(text)}{line}\n"
            after.append(line)
    write_text(files, INITRAMFS_TOOLS_MODULES, text)
    return [
        Repair(
            f"Listed {', '.join(lost)} again, which hyper2kvm had made part of a comment",
            INITRAMFS_TOOLS_MODULES,
            "\n".join(before),
            "\n".join(after),
        )
    ]


def lost_modules(files: GuestFiles, original: str) -> list[str]:
    """Return the lines that the guest's owner wrote and that count no longer."""
    now = listed_modules(text_of(files, INITRAMFS_TOOLS_MODULES))
    return [line for name, line in listed_modules(original).items() if name not in now]


def _append_modules(files: GuestFiles, modules: Sequence[str]) -> list[Repair]:
    before = text_of(files, INITRAMFS_TOOLS_MODULES)
    there = {name.replace("-", "_") for name in listed_modules(before)}
    wanted = [module for module in modules if module not in there]
    if not wanted:
        return []
    after = f"{_ended(before)}{_MARK}\n" + "".join(f"{module}\n" for module in wanted)
    write_text(files, INITRAMFS_TOOLS_MODULES, after)
    what = f"Listed {', '.join(wanted)} for the initramfs"
    return [Repair(what, INITRAMFS_TOOLS_MODULES, "", "\n".join(wanted))]


def _write(files: GuestFiles, path: str, text: str, tool: str) -> list[Repair]:
    before = text_of(files, path)
    if before == text:
        return []
    write_text(files, path, text)
    return [Repair(f"Told {tool} what the initramfs needs on KVM", path, before, text)]


def _ended(text: str) -> str:
    """Return *text* with a newline at its end, where it has a last line."""
    return text if text.endswith("\n") or not text else text + "\n"
