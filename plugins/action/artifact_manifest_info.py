# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show how far the verification of a manifest's disks is."""

from __future__ import annotations

from ansible_collections.hypersdk.hyper2kvm.plugins.plugin_utils.live_progress import (
    TemporaryProgressAction,
)


class ActionModule(TemporaryProgressAction):
    """Runs the module artifact_manifest_info."""
