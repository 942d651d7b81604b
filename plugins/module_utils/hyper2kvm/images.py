# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Questions about disk images, answered by qemu-img in the sandbox."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..sandbox.limits import UNLIMITED, Limits
from ..sandbox.run import Completed, run
from .errors import ConversionError

# The manifest's names of formats, where qemu's differ.
_DRIVERS = {"vhd": "vpc"}
_CHECK_UNSUPPORTED = 63  # qemu-img check's exit status for formats without structures of their own
_INFO_TIMEOUT = 120.0


@dataclass(frozen=True)
class QemuImg:
    """qemu-img, the images bound read-only unless they are what it writes.

    Attributes:
        isolation: "bubblewrap" or "none".
        limits: What it may take of the host.
    """

    isolation: str
    limits: Limits = UNLIMITED

    def virtual_size(self, path: Path, image_format: str) -> int:
        """Return the size of the disk that a guest sees, in bytes.

        Raises:
            ConversionError: qemu-img can't read it, or it refers to other files: an image
                that comes from outside could name any file of this host as its backing file.
        """
        argv = ["qemu-img", "info", "--output=json", "-f", driver(image_format), str(path)]
        completed = self._run(argv, _INFO_TIMEOUT, readonly=[path])
        if not completed.ok:
            raise _failure(f"{path} can't be read as {image_format}", completed)
        information: dict[str, Any] = json.loads(completed.stdout)
        for key in ("backing-filename", "data-file"):
            specific = information.get("format-specific", {}).get("data", {})
            if information.get(key) or specific.get(key):
                raise ConversionError(
                    f"The image {path} refers to another file (its {key}).",
                    action="Flatten it with 'qemu-img convert' where it was made.",
                )
        return int(information["virtual-size"])

    def convert_to_raw(self, source: Path, image_format: str, target: Path, timeout: float) -> None:
        """Write the disk in *source* to *target*, sparse; whole or not at all."""
        part = target.with_name(target.name + ".part")
        part.touch()
        argv = ["qemu-img", "convert", "-f", driver(image_format), "-O", "raw"]
        try:
            completed = self._run(
                [*argv, str(source), str(part)], timeout, readonly=[source], writable=[part]
            )
            if not completed.ok:
                raise _failure(f"{source} can't be decoded", completed)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def check(self, path: Path, image_format: str, timeout: float) -> None:
        """Raise ConversionError unless the image's own structures are whole."""
        argv = ["qemu-img", "check", "-f", driver(image_format), str(path)]
        completed = self._run(argv, timeout, readonly=[path])
        if completed.returncode != _CHECK_UNSUPPORTED and not completed.ok:
            raise _failure(f"The image {path} fails 'qemu-img check'", completed)

    def compare(
        self, first: Path, first_format: str, second: Path, second_format: str, timeout: float
    ) -> None:
        """Raise ConversionError unless a guest sees the same bytes in both images."""
        argv = ["qemu-img", "compare", "-f", driver(first_format), "-F", driver(second_format)]
        completed = self._run([*argv, str(first), str(second)], timeout, readonly=[first, second])
        if not completed.ok:
            raise _failure(f"The content of {second} is not that of {first}", completed)

    def _run(
        self,
        argv: Sequence[str],
        timeout: float,
        *,
        readonly: Sequence[Path],
        writable: Sequence[Path] = (),
    ) -> Completed:
        return run(
            argv,
            readonly=readonly,
            writable=writable,
            timeout=timeout,
            isolation=self.isolation,
            limits=self.limits,
        )


def driver(image_format: str) -> str:
    """Return qemu's name of a format of the manifest."""
    return _DRIVERS.get(image_format, image_format)


def _failure(what: str, completed: Completed) -> ConversionError:
    said = " ".join(line.strip() for line in completed.tail[-3:]) or "nothing"
    how = "was stopped at the time-out" if completed.timed_out else f"said: {said}"
    return ConversionError(f"{what}: qemu-img {how}.", action="")
