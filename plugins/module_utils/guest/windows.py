# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a Windows guest has a virtio storage driver that starts at boot.

Looked at, never written: drivers come with hyper2kvm or were installed by the guest's owner. The
registry's SYSTEM hive is read by libguestfs' appliance, with its hivex. No Windows guest was ever
run with this; it was tried on a hive of the tests' own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .outcome import Outcome
from .repair import ERROR, Finding

_HIVE = "/Windows/System32/config/SYSTEM"
_DRIVERS = "/Windows/System32/drivers"
# virtio-win's storage drivers: for virtio-blk and virtio-scsi.
STORAGE_DRIVERS = ("viostor", "vioscsi")
# SERVICE_BOOT_START: loaded by the boot loader, before there is a disk.
_BOOT_START = 0


def examine_windows(handle: Any, lap: Callable[[str], None]) -> Outcome:
    """Return what a Windows guest whose C: is mounted on / has.

    Args:
        handle: guestfs.GuestFS.
        lap: Ends a part of the time that is measured.
    """
    drivers: dict[str, dict[str, Any]] = {}
    hive = _path(handle, _HIVE)
    if hive is not None:
        handle.hivex_open(hive)
        try:
            for name in STORAGE_DRIVERS:
                drivers[name] = _service(handle, name)
        finally:
            handle.hivex_close()
    lap("examine")
    problems = {name: problem(driver) for name, driver in drivers.items()}
    summary = {
        "kernels": [],
        "boot_loader": {},
        "drivers": {
            name: {**driver, "problem": problems[name]} for name, driver in drivers.items()
        },
    }
    if hive is None:
        return Outcome(summary, findings=[_finding(_HIVE, "it was not found")])
    if any(not text for text in problems.values()):
        return Outcome(summary)
    said = "; ".join(f"{name}: {text}" for name, text in problems.items())
    return Outcome(summary, findings=[_finding(hive, said)])


def problem(driver: dict[str, Any]) -> str:
    """Return why a driver will not be there at boot, "" when it will."""
    if not driver["service"]:
        return "no service entry"
    if driver["start"] != _BOOT_START:
        return f"its service has Start={driver['start']} instead of 0"
    if not driver["image_path"]:
        return "its service has no ImagePath"
    if not driver["group"]:
        return "its service has no Group"
    if not driver["file"]:
        return f"{driver['image_path']} does not exist"
    return ""


def _service(handle: Any, name: str) -> dict[str, Any]:
    driver: dict[str, Any] = {
        "service": False,
        "start": None,
        "group": "",
        "image_path": "",
        "file": False,
    }
    control_set = _current_control_set(handle)
    node = _child(handle, handle.hivex_root(), control_set, "Services", name)
    if node is None:
        return driver
    driver["service"] = True
    driver["start"] = _number(handle, node, "Start")
    driver["group"] = _string(handle, node, "Group")
    driver["image_path"] = _string(handle, node, "ImagePath")
    driver["file"] = _path(handle, _file_of(driver["image_path"], name)) is not None
    return driver


def _file_of(image_path: str, name: str) -> str:
    """Return a driver's file from ImagePath: \\SystemRoot\\System32\\…, or from system32 on."""
    path = image_path.replace("\\", "/").lstrip("/")
    if not path:
        return f"{_DRIVERS}/{name}.sys"
    for prefix in ("systemroot/", "%systemroot%/", "??/c:/windows/", "windows/"):
        if path.lower().startswith(prefix):
            path = path[len(prefix) :]
            break
    return f"/Windows/{path}"


def _current_control_set(handle: Any) -> str:
    """Return the control set that the next boot takes: Select\\Default."""
    select = _child(handle, handle.hivex_root(), "Select")
    number = _number(handle, select, "Default") if select is not None else None
    return f"ControlSet{number or 1:03d}"


def _child(handle: Any, node: int, *names: str) -> int | None:
    for name in names:
        node = handle.hivex_node_get_child(node, name)
        if node == 0:
            return None
    return node


def _value(handle: Any, node: int, key: str) -> bytes:
    value = handle.hivex_node_get_value(node, key)
    content: bytes = handle.hivex_value_value(value) if value else b""
    return content


def _number(handle: Any, node: int, key: str) -> int | None:
    content = _value(handle, node, key)
    return int.from_bytes(content[:4], "little") if len(content) >= 4 else None


def _string(handle: Any, node: int, key: str) -> str:
    return _value(handle, node, key).decode("utf-16-le", errors="replace").rstrip("\0")


def _path(handle: Any, path: str) -> str | None:
    """Return a path as it is written on the disk; NTFS has no case, its driver has."""
    try:
        found: str = handle.case_sensitive_path(path)
    except RuntimeError:
        return None
    return found if handle.is_file(found) else None


def _finding(path: str, said: str) -> Finding:
    return Finding(
        ERROR,
        path,
        f"No virtio storage driver starts when this Windows boots, so it will not find its disk"
        f" ({said}).",
        "Install virtio-win's drivers in the guest before the export.",
    )
