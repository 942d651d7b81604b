# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one family of exceptions of this collection.

Code in module_utils raises these; only a module's main() turns them into a
failed task. Each names what failed, on which VM, file or field, and what the
person who reads it can do.
"""

from __future__ import annotations

from typing import Any


class Hyper2KvmError(Exception):
    """Something that the user must know about and can act on.

    Args:
        message: What failed, and on which VM, file or field: one sentence.
        action: What to do about it: one sentence, or nothing.
        details: Values that a playbook may want to read, by name. They become
            keys of the failed task's result, so they never hold secrets.
    """

    def __init__(self, message: str, *, action: str = "", **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.action = action
        self.details = details

    def __str__(self) -> str:
        return f"{self.message} {self.action}".rstrip()

    def failure(self) -> dict[str, Any]:
        """Return the arguments for AnsibleModule.fail_json."""
        return {"msg": str(self), **self.details}


class Interrupted(Hyper2KvmError):
    """The module was asked to stop (SIGTERM, SIGINT) and has cleaned up."""
