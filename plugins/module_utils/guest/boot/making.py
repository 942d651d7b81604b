# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a kernel's initramfs anew with the guest's own tool. Where that fails, the old one stays.

The tools run in libguestfs' appliance, whose hardware is neither the old machine's nor the new
one's. dracut's "hostonly" (the default of RHEL) and mkinitcpio's hook "autodetect" put in what the
machine needs that they run on, so each is first asked for an initramfs for any machine. That is
larger, and /boot may be small: then it makes one in the way of the guest's owner, and gets told
what this guest needs besides.

dracut takes the old initramfs away when the new one does not fit in its place (dracut.sh 059), and
mkinitcpio may leave half of one. So both make it elsewhere; it is then written over the old one.
initramfs-tools writes beside the old one and renames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...errors import Hyper2KvmError
from ..files import GuestFiles
from .kernels import Kernel
from .tools import DRACUT_MODULES, Tool

# On the guest's root, where dracut works as well.
_NEW = "/var/tmp/hyper2kvm-initramfs.new"  # noqa: S108 - the guest's, and nobody else is in it
_OLD = "/var/tmp/hyper2kvm-initramfs.old"  # noqa: S108
_SHOWN_LINES = 5
_MIB = 1 << 20


class MakingError(Hyper2KvmError):
    """An initramfs could not be made anew."""


def make(
    files: GuestFiles,
    tool: Tool,
    kernel: Kernel,
    *,
    modules: Sequence[str],
    programs: Sequence[str],
    timeout: float,
) -> None:
    """Make a kernel's initramfs anew.

    Args:
        files: The guest, in an appliance.
        tool: What it makes one with.
        kernel: Whose.
        modules: All that this guest needs in it, where that is known.
        programs: Programs that it needs in it.
        timeout: Seconds that a program of the guest's may take.

    Raises:
        MakingError: There is no new one. The old one is as it was, if the message says nothing
            else.
    """
    if tool.name == "initramfs-tools":
        how = "-u" if kernel.initramfs else "-c"
        _run(files, [tool.program, how, "-k", kernel.version], kernel, timeout)
        return
    if not kernel.initramfs:
        # Where it belongs is the tool's to say: mkinitcpio has it in its presets.
        arguments = ["-P"] if tool.name == "mkinitcpio" else ["-f", "--kver", kernel.version]
        _run(files, [tool.program, *arguments], kernel, timeout)
        return
    try:
        errors: list[MakingError] = []
        for argv in _commands(tool, kernel, modules, programs):
            try:
                _run(files, argv, kernel, timeout)
                _put_in_place(files, kernel, timeout)
                return
            except MakingError as error:
                errors.append(error)
        raise errors[-1]
    finally:
        files.remove(_NEW)
        files.remove(_OLD)


def _commands(
    tool: Tool, kernel: Kernel, modules: Sequence[str], programs: Sequence[str]
) -> Iterator[list[str]]:
    """Yield the ways to make an initramfs: for any machine, then as the guest has it."""
    if tool.name == "mkinitcpio":
        made = ["-g", _NEW, "-k", kernel.version]
        yield [tool.program, "-S", "autodetect", *made]
        yield [tool.program, *made]
        return
    # Old versions know no --kver (RHEL 6), and make one for any machine unasked.
    made = [_NEW, kernel.version]
    yield [tool.program, "-f", "--no-hostonly", "--no-hostonly-cmdline", *made]
    added = [DRACUT_MODULES[name] for name in programs if name in DRACUT_MODULES]
    wanted = ["--add-drivers", " ".join(modules)] if modules else []
    wanted += ["--add", " ".join(added)] if added else []
    yield [tool.program, "-f", *wanted, *made]


def _put_in_place(files: GuestFiles, kernel: Kernel, timeout: float) -> None:
    """Write the new initramfs over the old one, which keeps its owner, mode and SELinux label."""
    old = kernel.initramfs
    _run(files, ["cp", "--", old, _OLD], kernel, timeout)
    status, said = files.run(["cp", "--", _NEW, old], timeout)
    if status == 0:
        return
    sizes = [_size(files, path, timeout) for path in (_NEW, _OLD)]
    restored, _said = files.run(["cp", "--", _OLD, old], timeout)
    after = "which is as it was" if restored == 0 else "which is damaged now"
    raise MakingError(
        f"The new initramfs of kernel {kernel.version} ({sizes[0]}) can't be put in the place of"
        f" {old} ({sizes[1]}), {after}; cp said: {_last_lines(said)}.",
        action=_action(said),
    )


def _run(files: GuestFiles, argv: Sequence[str], kernel: Kernel, timeout: float) -> None:
    status, said = files.run(argv, timeout)
    if status != 0:
        raise MakingError(
            f"{argv[0]} failed for kernel {kernel.version} with exit status {status}; it said:"
            f" {_last_lines(said)}.",
            action=_action(said),
        )


def _size(files: GuestFiles, path: str, timeout: float) -> str:
    _status, said = files.run(["stat", "-c", "%s", path], timeout)
    return f"{int(said) / _MIB:.1f} MiB" if said.strip().isdecimal() else "of unknown size"


def _last_lines(said: str) -> str:
    return " / ".join(said.strip().splitlines()[-_SHOWN_LINES:]) or "nothing"


def _action(said: str) -> str:
    if "No space left" in said:
        return (
            "Make room on that filesystem in the guest before the export: remove kernels that it"
            " needs no longer, or enlarge it."
        )
    return "Have the guest rebuild its initramfs before the export."
