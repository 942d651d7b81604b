# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hooks of the manifest that can only fail, told before hours have been spent on a conversion."""

from __future__ import annotations

from typing import Any

from ..sandbox.confinement import BUBBLEWRAP
from .errors import ConversionError
from .installation import MEASURED_VERSION, Installation

# Seen in hyper2kvm/hooks/hook_types.py: it asks for U.safe_path, which there is not, before it
# starts any script; the runner ends on what it doesn't expect, whatever continue_on_error says.
_WITHOUT_SCRIPTS = (MEASURED_VERSION,)


def check_hooks(document: dict[str, Any], installation: Installation) -> None:
    """Check that the manifest's hooks can run.

    Args:
        document: The manifest, valid.
        installation: The hyper2kvm that will run.

    Raises:
        ConversionError: One of them can't.
    """
    for stage, hooks in document.get("hooks", {}).items():
        for index, hook in enumerate(hooks):
            where = f"hooks.{stage}[{index}]"
            if hook["type"] == "script" and installation.version in _WITHOUT_SCRIPTS:
                raise ConversionError(
                    f"{where} is a script, and hyper2kvm {installation.version} can't run any: "
                    "the conversion would end there.",
                    action="Make it a Python function (type: python), or a task of the play.",
                )
            if hook["type"] == "http" and installation.isolation == BUBBLEWRAP:
                raise ConversionError(
                    f"{where} calls {hook['url']}, and there is no network in the sandbox.",
                    action="Call it with a task of the play, such as ansible.builtin.uri.",
                )
