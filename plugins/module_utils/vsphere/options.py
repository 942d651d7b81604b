# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that modules share: the connection to vCenter and which VM is meant."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import env_fallback


def _from_environment(variable: str) -> dict[str, Any]:
    return {"fallback": (env_fallback, [variable])}


def connection_argument_spec() -> dict[str, Any]:
    """Return the options of the documentation fragment C(hypersdk.hyper2kvm.vsphere)."""
    return {
        "hostname": {"type": "str", **_from_environment("VMWARE_HOST")},
        "username": {
            "type": "str",
            "aliases": ["user", "admin"],
            **_from_environment("VMWARE_USER"),
        },
        "password": {
            "type": "str",
            "no_log": True,
            "aliases": ["pass", "pwd"],
            **_from_environment("VMWARE_PASSWORD"),
        },
        "port": {"type": "int", "default": 443, **_from_environment("VMWARE_PORT")},
        "validate_certs": {
            "type": "bool",
            "default": True,
            **_from_environment("VMWARE_VALIDATE_CERTS"),
        },
        "ca_path": {"type": "path"},
        "thumbprint": {"type": "str"},
        "proxy_host": {"type": "str", **_from_environment("VMWARE_PROXY_HOST")},
        "proxy_port": {"type": "int", **_from_environment("VMWARE_PROXY_PORT")},
    }


def vm_argument_spec() -> dict[str, Any]:
    """Return the options of the documentation fragment C(hypersdk.hyper2kvm.vm)."""
    return {
        "name": {"type": "str"},
        "uuid": {"type": "str"},
        "use_instance_uuid": {"type": "bool", "default": False},
        "moid": {"type": "str"},
        "folder": {"type": "str"},
        "datacenter": {"type": "str"},
    }
