# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with a manifest or its files, and the error that carries it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Union

from ..errors import Hyper2KvmError

ERROR = "error"
WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        severity: "error" when the disks must not be converted, else "warning".
        path: Where in the document, such as disks[1].checksum; "" for the whole of it.
        message: What is wrong: one sentence that names the file and the field.
        action: What to do about it: one sentence.
    """

    severity: str
    path: str
    message: str
    action: str

    def as_dict(self) -> dict[str, str]:
        """Return the finding as a module returns it."""
        return asdict(self)


class ManifestError(Hyper2KvmError):
    """A manifest can't be built, read or trusted."""

    @classmethod
    def of(cls, path: Path | str, findings: Sequence[Finding]) -> ManifestError:
        """Return the error for findings about the manifest at path, in one message."""
        errors = errors_of(findings)
        first = errors[0]
        more = f" (and {len(errors) - 1} more, see findings)" if len(errors) > 1 else ""
        return cls(
            f"{path}: {first.message}{more}",
            action=first.action,
            findings=[finding.as_dict() for finding in findings],
        )


def errors_of(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that are errors."""
    return [finding for finding in findings if finding.severity == ERROR]


def at(parts: Iterable[Union[str, int]]) -> str:
    """Return a place in the document as people write it: disks[1].checksum."""
    written = ""
    for part in parts:
        if isinstance(part, int):
            written += f"[{part}]"
        else:
            written += f".{part}" if written else str(part)
    return written


def shown(value: Any, limit: int = 80) -> str:
    """Return a value for a message: as JSON would write it, shortened."""
    words = (
        repr(value)
        if not isinstance(value, (bool, type(None)))
        else {None: "null", True: "true", False: "false"}[value]
    )
    return words if len(words) <= limit else words[: limit - 1] + "…"
