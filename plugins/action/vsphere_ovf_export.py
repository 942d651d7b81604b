# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show the progress of an export while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.export.directory import (
    PROGRESS_FILE,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.plugin_utils.live_progress import (
    LiveProgressAction,
)


class ActionModule(LiveProgressAction):
    """Runs the module vsphere_ovf_export."""

    def progress_path(self, arguments: Mapping[str, Any]) -> str | None:
        """Return the file beside the export."""
        dest = arguments.get("dest")
        return f"{str(dest).rstrip('/')}/{PROGRESS_FILE}" if dest else None
