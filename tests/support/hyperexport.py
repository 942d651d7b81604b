# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What hyperexport leaves behind."""

from __future__ import annotations

from typing import Any

#: A profile as hyperexport --save-profile writes it: every key, those that were never set as Go's zero values.
SAVED: dict[str, Any] = {
    "name": "quick-export",
    "description": "Fast export without compression",
    "created": "2026-01-21T20:00:00.123456789Z",
    "modified": "2026-01-21T20:00:00.123456789Z",
    "format": "ovf",
    "compress": False,
    "verify": False,
    "power_off": False,
    "parallel": 4,
    "cleanup_ovf": False,
    "upload_to": "",
    "keep_local": False,
    "encrypt": False,
    "encrypt_method": "",
    "gpg_recipient": "",
    "validate_only": False,
    "generate_manifest": False,
    "verify_manifest": False,
    "manifest_checksum": False,
    "manifest_target_format": "",
    "auto_convert": False,
    "hyper2kvm_binary": "",
    "stream_conversion": False,
    "retention_days": 0,
    "retention_count": 0,
    "notify_email": "",
    "notify_slack": "",
    "notify_discord": "",
    "tags": None,
}
