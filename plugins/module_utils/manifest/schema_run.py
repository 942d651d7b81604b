# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of the schema that say what hyper2kvm is to do: stages, output, options, hooks, libvirt."""

from __future__ import annotations

from typing import Any

from . import patterns

OUTPUT_FORMATS = ("qcow2", "raw", "vdi")
FSTAB_MODES = ("stabilize-all", "bypath-only", "noop")
STAGES = ("inspect", "fix", "convert", "validate")
#: hyper2kvm lists pre_extraction too, but makes its hook runner only after that point has passed.
HOOK_STAGES = (
    "post_extraction",
    "pre_fix",
    "post_fix",
    "pre_convert",
    "post_convert",
    "post_validate",
)


def _switch(description: str) -> dict[str, Any]:
    return {"description": description, "type": "boolean"}


def _stage(description: str, switches: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": description,
        "type": "object",
        "properties": {
            "enabled": _switch(
                "Whether the stage runs. hyper2kvm takes false when it is left out."
            ),
            **switches,
        },
        "additionalProperties": False,
    }


PIPELINE: dict[str, Any] = {
    "description": "What hyper2kvm does, stage by stage. Without it hyper2kvm succeeds and converts nothing.",
    "type": "object",
    "properties": {
        "inspect": _stage(
            "Looks at the disks.",
            {
                "collect_guest_info": _switch(
                    "Look at the guest's operating system. hyper2kvm 0.2.1 always fails at it, with a warning."
                ),
            },
        ),
        "fix": _stage(
            "Makes the boot disk's guest fit for KVM. Needs a writable disk.",
            {
                "backup": _switch(
                    "Keep a copy of each file of the guest that is changed, beside it."
                ),
                "print_fstab": _switch("Log /etc/fstab before and after."),
                "update_grub": _switch("Bring the boot loader's configuration up to date."),
                "regen_initramfs": _switch("Build the initramfs anew, with virtio's drivers."),
                "fstab_mode": {
                    "description": "How /etc/fstab is rewritten. stabilize-all replaces every name that is not stable, "
                    "bypath-only only /dev/disk/by-path, noop none.",
                    "type": "string",
                    "enum": list(FSTAB_MODES),
                },
                "remove_vmware_tools": _switch("Remove VMware Tools from the guest."),
            },
        ),
        "convert": _stage(
            "Converts every disk to output.format.",
            {
                "compress": _switch("Compress the image; qcow2 only."),
                "compress_level": {
                    "description": "1 is fast, 9 is small; qcow2 only. hyper2kvm 0.2.1 hands it to qemu-img, "
                    "which knows no such option: after three failed tries it compresses with zlib, without a level.",
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 9,
                },
            },
        ),
        "validate": _stage(
            "Checks the converted images.",
            {
                "check_image_integrity": _switch("Have qemu-img check each image."),
            },
        ),
    },
    "additionalProperties": False,
}

OUTPUT: dict[str, Any] = {
    "description": "Where the converted images go.",
    "type": "object",
    "properties": {
        "directory": {
            "description": "Absolute path of the directory; made when it is missing.",
            "type": "string",
            "pattern": patterns.ABSOLUTE_PATH,
        },
        "format": {
            "description": "Format of the images. hyper2kvm takes qcow2 when it is left out.",
            "type": "string",
            "enum": list(OUTPUT_FORMATS),
        },
        "filename": {
            "description": "File name of the image. hyper2kvm 0.2.1 doesn't read it: "
            "its images are called <disk id>.<format>.",
            "type": "string",
            "pattern": patterns.FILE_NAME,
        },
    },
    "additionalProperties": False,
}

OPTIONS: dict[str, Any] = {
    "description": "Options of the run.",
    "type": "object",
    "properties": {
        "dry_run": _switch(
            "Change nothing in the guest. hyper2kvm 0.2.1 heeds it in the fix stage only."
        ),
        "verbose": {
            "description": "How much is logged: 0 is quiet, 1 normal, 2 verbose, 3 debug.",
            "type": "integer",
            "minimum": 0,
            "maximum": 3,
        },
        "report": {
            "description": "The report of the run.",
            "type": "object",
            "properties": {
                "enabled": _switch("Whether a report is written."),
                "path": {
                    "description": "Its file; a relative one is taken from output.directory. "
                    "hyper2kvm takes report.json when it is left out.",
                    "type": "string",
                    "minLength": 1,
                },
            },
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}

_HOOK: dict[str, Any] = {
    "type": "object",
    "properties": {
        "type": {
            "description": "Kind of the hook. hyper2kvm 0.2.1 fails at every script, and in the sandbox that it is run "
            "in here it reaches no web address: hyper2kvm_convert refuses both.",
            "type": "string",
            "enum": ["script", "python", "http"],
        },
        "path": {
            "description": "Absolute path of the program; type script.",
            "type": "string",
            "pattern": patterns.ABSOLUTE_PATH,
        },
        "args": {
            "description": "Arguments: a list for a script, names and values for a Python function. "
            "{{ vm_name }}, {{ stage }}, {{ source_path }} and {{ output_path }} are filled in.",
            "type": ["array", "object"],
        },
        "env": {"description": "Environment of the script.", "type": "object"},
        "working_directory": {
            "description": "Directory that the script starts in.",
            "type": "string",
        },
        "module": {
            "description": "Python module; type python. PYTHONPATH says where it is.",
            "type": "string",
        },
        "function": {"description": "Function of the module; type python.", "type": "string"},
        "url": {"description": "Address that is called; type http.", "type": "string"},
        "method": {"description": "HTTP method; POST when it is left out.", "type": "string"},
        "headers": {"description": "HTTP headers.", "type": "object"},
        "body": {"description": "What is sent, as JSON.", "type": "object"},
        "timeout": {
            "description": "Seconds until the hook counts as failed; 300 when left out.",
            "type": "number",
            "exclusiveMinimum": 0,
        },
        "continue_on_error": _switch("Go on when the hook fails."),
        "retry": {
            "description": "Tries after the first.",
            "type": "object",
            "properties": {
                "max_retries": {"description": "How many.", "type": "integer", "minimum": 0},
                "initial_delay": {
                    "description": "Seconds before the first.",
                    "type": "number",
                    "minimum": 0,
                },
                "max_delay": {
                    "description": "Seconds between two at most.",
                    "type": "number",
                    "minimum": 0,
                },
                "strategy": {
                    "description": "How the delay grows.",
                    "type": "string",
                    "enum": ["exponential", "linear", "constant"],
                },
                "retry_on_timeout": _switch("Also after a hook that timed out."),
            },
            "additionalProperties": False,
        },
    },
    "required": ["type"],
    "allOf": [
        {"if": {"properties": {"type": {"const": "script"}}}, "then": {"required": ["path"]}},
        {
            "if": {"properties": {"type": {"const": "python"}}},
            "then": {"required": ["module", "function"]},
        },
        {"if": {"properties": {"type": {"const": "http"}}}, "then": {"required": ["url"]}},
    ],
    "additionalProperties": False,
}

HOOKS: dict[str, Any] = {
    "description": "Programs, Python functions and web addresses that hyper2kvm calls between its stages.",
    "type": "object",
    "properties": {
        stage: {"description": f"Hooks at {stage}, in order.", "type": "array", "items": _HOOK}
        for stage in HOOK_STAGES
    },
    "additionalProperties": False,
}

LIBVIRT_INTEGRATION: dict[str, Any] = {
    "description": "What hyper2kvm does with libvirt at the end. It needs a domain.xml in output.directory, which "
    "hyper2kvm 0.2.1 doesn't write by itself; hyper2kvm_convert leaves it out, and kvm_domain defines the domain.",
    "type": "object",
    "properties": {
        "enabled": _switch("Whether it does anything. hyper2kvm takes false when it is left out."),
        "define_domain": _switch("Define the domain of domain.xml."),
        "overwrite_domain": _switch("Replace a domain of the same name."),
        "vm_name": {
            "description": "First part of the names of imported volumes.",
            "type": "string",
        },
        "create_snapshot": _switch("Take a snapshot before the first boot."),
        "snapshot_name": {
            "description": "Name of the snapshot; pre-first-boot when left out.",
            "type": "string",
        },
        "autostart": _switch("Start the domain with the host."),
        "auto_start": _switch("Start the domain at once."),
        "import_to_pool": {
            "description": "Storage pool that the disks are imported to.",
            "type": "string",
        },
        "pool_path": {
            "description": "Absolute path of the pool, should it have to be made.",
            "type": "string",
            "pattern": patterns.ABSOLUTE_PATH,
        },
        "copy_disks": _switch("Copy the disks rather than move them."),
        "overwrite_volumes": _switch("Replace volumes of the same name."),
    },
    "additionalProperties": False,
}
