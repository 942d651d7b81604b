# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part of the schema that says what hyper2kvm puts into the guest.

Its shapes are those that hyper2kvm 0.2.1's injectors read
(fixers/*_config_injector.py); what they would get wrong without an error is
refused here.
"""

from __future__ import annotations

from typing import Any

from . import patterns


def _names(description: str, pattern: str) -> dict[str, Any]:
    return {
        "description": description,
        "type": "array",
        "items": {"type": "string", "pattern": pattern},
    }


def _line(description: str, pattern: str = patterns.SINGLE_LINE) -> dict[str, Any]:
    return {"description": description, "type": "string", "pattern": pattern}


_USER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": _line("Name of the account.", patterns.USER_NAME),
        "uid": {
            "description": "User id; the guest chooses when it is left out.",
            "type": "integer",
            "minimum": 1,
        },
        "gid": {
            "description": "Id of the main group, which must exist in the guest; the uid when left out.",
            "type": "integer",
            "minimum": 1,
        },
        "groups": _names("Further groups, which must exist in the guest.", patterns.USER_NAME),
        "comment": _line("Full name."),
        "shell": _line("Login shell; /bin/bash when left out.", patterns.ABSOLUTE_PATH),
        "home": _line("Home directory; /home/<name> when left out.", patterns.ABSOLUTE_PATH),
        "create_home": {
            "description": "Make the home directory; true when left out.",
            "type": "boolean",
        },
        "ssh_keys": _names("Public keys that may log in.", patterns.SINGLE_LINE),
        "password_hash": _line(
            "Hash of the password. There is no field for a password in clear: the manifest is a file, and "
            "hyper2kvm 0.2.1 hashes one wrongly under Python 3.13 and drops it when useradd fails.",
            patterns.PASSWORD_HASH,
        ),
        "sudo": _line(
            "What the account may do with sudo, without its name: ALL=(ALL) NOPASSWD:ALL.",
            patterns.SUDO,
        ),
        "lock": {"description": "Lock the account's password.", "type": "boolean"},
    },
    "required": ["name"],
    "additionalProperties": False,
}

_NETWORK_FILE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": _line("Name within the file's name.", patterns.FILE_NAME),
        "type": {
            "description": "Kind of the file; network when left out.",
            "type": "string",
            "enum": ["network", "netdev"],
        },
        "priority": {
            "description": "Number in front of the file's name; 50 when left out.",
            "type": "integer",
            "minimum": 0,
            "maximum": 99,
        },
        "content": {"description": "Content of the file.", "type": "string", "pattern": r"\S"},
    },
    "required": ["name", "content"],
    "additionalProperties": False,
}

CONFIGURATION: dict[str, Any] = {
    "description": "What the fix stage puts into a Linux guest.",
    "type": "object",
    "properties": {
        "users": {
            "description": "Accounts.",
            "type": "object",
            "properties": {
                "users": {"description": "Accounts to make.", "type": "array", "items": _USER},
                "disable_users": _names("Accounts whose password is locked.", patterns.USER_NAME),
                "delete_users": _names(
                    "Accounts that are deleted, with their home directories.", patterns.USER_NAME
                ),
            },
            "additionalProperties": False,
        },
        "services": {
            "description": "Services of systemd.",
            "type": "object",
            "properties": {
                "enable": _names("Services that start at boot.", patterns.SERVICE),
                "disable": _names("Services that no longer start at boot.", patterns.SERVICE),
                "mask": _names("Services that can't be started.", patterns.SERVICE),
            },
            "additionalProperties": False,
        },
        "hostname": {
            "description": "The guest's name.",
            "type": "object",
            "properties": {
                "hostname": _line(
                    "Name for /etc/hostname and 127.0.1.1 in /etc/hosts.", patterns.HOST_NAME
                ),
                "domain": _line(
                    "Domain that is added to the name in /etc/hosts.", patterns.HOST_NAME
                ),
                "hosts": {
                    "description": "Lines for /etc/hosts: addresses and their names.",
                    "type": "object",
                    "propertyNames": {"pattern": patterns.HOSTS_KEY},
                    "additionalProperties": {"type": "string", "pattern": patterns.SINGLE_LINE},
                },
            },
            "additionalProperties": False,
        },
        "network": {
            "description": "Configuration files of the guest's network.",
            "type": "object",
            "properties": {
                "network_files": {
                    "description": "Files for /etc/systemd/network.",
                    "type": "array",
                    "items": _NETWORK_FILE,
                },
                "nm_connections": {
                    "description": "Profiles for /etc/NetworkManager/system-connections.",
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "name": _line("File name without .nmconnection.", patterns.FILE_NAME),
                            "content": {
                                "description": "Content of the file.",
                                "type": "string",
                                "pattern": r"\S",
                            },
                        },
                        "required": ["name", "content"],
                        "additionalProperties": False,
                    },
                },
                "enable_networkd": {"description": "Enable systemd-networkd.", "type": "boolean"},
                "enable_network_manager": {
                    "description": "Enable NetworkManager.",
                    "type": "boolean",
                },
            },
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}
