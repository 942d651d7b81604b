# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show the progress of a conversion while it runs."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.hyper2kvm.directories import (
    PROGRESS_FILE,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.plugin_utils.live_progress import (
    LiveProgressAction,
)


class ActionModule(LiveProgressAction):
    """Runs the module hyper2kvm_convert."""

    def progress_path(self, arguments: Mapping[str, Any]) -> str | None:
        """Return the file in the directory of the results."""
        manifest = str(arguments.get("manifest", ""))
        directory = arguments.get("output_dir") or posixpath.join(
            posixpath.dirname(manifest), "out"
        )
        return posixpath.join(str(directory), PROGRESS_FILE) if manifest else None
