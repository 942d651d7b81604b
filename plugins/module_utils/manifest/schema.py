# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The JSON Schema (2020-12) of the Artifact Manifest v1.0.

It lives in Python because Ansible ships only Python files to where a module
runs; docs/artifact-manifest.schema.json is its published copy. The order of
the properties is the order in which a manifest is written.

Where it is stricter than hyper2kvm 0.2.1's own loader it says so in
strictness.py: the loader checks little more than disks and vm, and what it
doesn't check it gets wrong without a word.
"""

from __future__ import annotations

from typing import Any

from . import patterns
from .schema_guest import CONFIGURATION
from .schema_run import HOOKS, LIBVIRT_INTEGRATION, OPTIONS, OUTPUT, PIPELINE

SCHEMA_ID = "https://raw.githubusercontent.com/hypersdk/ansible-hyper2kvm/main/docs/artifact-manifest.schema.json"

SOURCE_FORMATS = ("vmdk", "qcow2", "raw", "vhd", "vhdx", "vdi")
FIRMWARES = ("bios", "uefi", "unknown")
DISK_TYPES = ("boot", "data", "unknown")
OS_HINTS = ("linux", "windows", "unknown")

#: Providers whose own facts have a documented place, metadata.<provider>.
PROVIDER_FACTS: dict[str, dict[str, str]] = {
    "vsphere": {
        "vcenter_url": "URL of the vCenter that the VM was exported from.",
        "moid": "Managed object id of the VM, such as vm-1234.",
        "uuid": "BIOS UUID of the VM.",
        "instance_uuid": "vCenter's UUID of the VM.",
        "folder": "Inventory folder of the VM.",
        "host": "ESXi host that the disks were read from.",
        "guest_id": "vSphere's guest identifier.",
        "guest_full_name": "vSphere's name of the guest's operating system.",
        "power_state": "Power state of the VM when it was exported.",
        "change_version": "Version of the VM's configuration when it was exported.",
    },
    "aws": {
        "account_id": "Account that owns the instance.",
        "region": "Region, such as eu-central-1.",
        "availability_zone": "Availability zone of the instance.",
        "instance_id": "Id of the EC2 instance, such as i-0abc.",
        "image_id": "Id of the AMI that was exported.",
        "export_task_id": "Id of the task that exported the image.",
        "s3_uri": "Where the exported image was put, as s3://bucket/key.",
    },
    "azure": {
        "subscription_id": "Subscription that owns the VM.",
        "resource_group": "Resource group of the VM.",
        "location": "Region, such as westeurope.",
        "vm_id": "Resource id of the VM.",
        "disk_id": "Resource id of the managed disk that was exported.",
        "generation": "Hyper-V generation of the VM, V1 (BIOS) or V2 (UEFI).",
        "blob_url": "Where the VHD was downloaded from, without its signature.",
    },
    "gcp": {
        "project": "Project that owns the instance.",
        "zone": "Zone, such as europe-west3-a.",
        "instance": "Name of the instance.",
        "image": "Name of the image that was exported.",
        "gcs_uri": "Where the exported image was put, as gs://bucket/object.",
    },
    "hyperv": {
        "host": "Hyper-V host that the VM ran on.",
        "cluster": "Failover cluster of the host.",
        "vm_id": "GUID of the VM.",
        "generation": "Generation of the VM, 1 (BIOS) or 2 (UEFI).",
        "checkpoint": "Name of the checkpoint that was exported.",
    },
    "openstack": {
        "project_id": "Project that owns the instance.",
        "region": "Region of the instance.",
        "instance_id": "UUID of the instance.",
        "image_id": "UUID of the image that was downloaded.",
    },
    "oci": {
        "tenancy": "Tenancy that owns the instance.",
        "compartment": "Compartment of the instance.",
        "region": "Region of the instance.",
        "instance_id": "OCID of the instance.",
        "image_id": "OCID of the image that was exported.",
    },
    "alibabacloud": {
        "region": "Region of the instance.",
        "instance_id": "Id of the ECS instance.",
        "image_id": "Id of the image that was exported.",
        "oss_uri": "Where the exported image was put.",
    },
    "proxmox": {
        "node": "Node that the VM ran on.",
        "vmid": "Number of the VM.",
        "storage": "Storage that the disks were read from.",
    },
    "local": {
        "host": "Host that the disks were copied from.",
        "product": "Product that made the disks or their descriptor.",
    },
}


def text(description: str, **more: Any) -> dict[str, Any]:
    """Return the schema of a string."""
    return {"description": description, "type": "string", **more}


def _facts(provider: str) -> dict[str, Any]:
    scalar = {"type": ["string", "integer", "boolean"]}
    return {
        "description": f"Facts about the source that only {provider} has. Keys beyond these are kept as they are.",
        "type": "object",
        "properties": {
            key: {"description": words, **scalar} for key, words in PROVIDER_FACTS[provider].items()
        },
        "additionalProperties": scalar,
    }


SOURCE: dict[str, Any] = {
    "description": "Where the VM came from.",
    "type": "object",
    "properties": {
        "provider": text(
            "Where the disks came from: vsphere, aws, azure, gcp, hyperv, openstack, "
            "oci, alibabacloud, proxmox, local or another.",
            pattern=patterns.PROVIDER,
        ),
        "vm_id": text("The provider's id of the VM, such as vSphere's managed object id."),
        "vm_name": text("Name of the VM; hyper2kvm hands it to hooks."),
        "datacenter": text("Datacenter or region."),
        "export_timestamp": text("When the last disk was complete.", pattern=patterns.TIMESTAMP),
        "export_method": text(
            "How the disks were obtained, such as hypersdk-nfc, ovf, ova or copy."
        ),
    },
    "additionalProperties": False,
}

VM: dict[str, Any] = {
    "description": "The VM's hardware, as far as its conversion and its first boot need it.",
    "type": "object",
    "properties": {
        "cpu": {"description": "Number of virtual CPUs.", "type": "integer", "minimum": 1},
        "mem_gb": {"description": "Memory in GiB, rounded up.", "type": "integer", "minimum": 1},
        "memory_mb": {
            "description": "Memory in MiB, exactly. An extension: hyper2kvm 0.2.1 doesn't read it.",
            "type": "integer",
            "minimum": 1,
        },
        "firmware": text(
            "Firmware. vSphere's efi is uefi here. hyper2kvm takes bios when it is left out.",
            enum=list(FIRMWARES),
        ),
        "secureboot": {"description": "Whether UEFI Secure Boot is on.", "type": "boolean"},
        "os_hint": text("Kind of the guest's operating system.", enum=list(OS_HINTS)),
        "os_version": text(
            "The guest's operating system, such as vSphere's guest identifier ubuntu64Guest."
        ),
    },
    "additionalProperties": False,
}

DISK: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": text(
            "Names the disk within the manifest, and the converted image: disk-0 becomes disk-0.qcow2.",
            pattern=patterns.DISK_ID,
        ),
        "source_format": text("Format of the file, by its content.", enum=list(SOURCE_FORMATS)),
        "bytes": {
            "description": "Size of the file in bytes, not the capacity of the disk.",
            "type": "integer",
            "minimum": 0,
        },
        "local_path": text(
            "Absolute path of the file on the conversion host.", pattern=patterns.ABSOLUTE_PATH
        ),
        "checksum": text(
            "SHA-256 of the file. Left out where it is unknown, never null.",
            pattern=patterns.CHECKSUM,
        ),
        "boot_order_hint": {
            "description": "Place in the boot order; the lowest number boots, and is the only disk that is fixed. "
            "Required as soon as there are several disks: hyper2kvm takes 999 for it when it is "
            "left out, and so may fix a data disk.",
            "type": "integer",
            "minimum": 0,
        },
        "label": text("Name of the disk for people, such as vSphere's Hard disk 1."),
        "disk_type": text("What the disk is for.", enum=list(DISK_TYPES)),
        "capacity": {
            "description": "Capacity of the disk in bytes, as the guest sees it. "
            "An extension: hyper2kvm 0.2.1 doesn't read it.",
            "type": "integer",
            "minimum": 0,
        },
        "controller": text(
            "Controller that the disk hung on, such as scsi0 or a product's name for it. "
            "An extension: hyper2kvm 0.2.1 doesn't read it."
        ),
        "unit_number": {
            "description": "Unit number of the disk on its controller. "
            "An extension: hyper2kvm 0.2.1 doesn't read it.",
            "type": "integer",
            "minimum": 0,
        },
    },
    "required": ["id", "source_format", "bytes", "local_path"],
    "additionalProperties": False,
}

IP_CONFIG: dict[str, Any] = {
    "type": "object",
    "properties": {
        "address": text("IP address."),
        "prefix": {
            "description": "Bits of its network's prefix, such as 24.",
            "type": "integer",
            "minimum": 0,
            "maximum": 128,
        },
        "origin": text("How the guest came by it: manual, dhcp, linklayer, random or other."),
    },
    "required": ["address"],
    "additionalProperties": False,
}


def _seen(what: str) -> dict[str, Any]:
    return {
        "description": f"{what} An extension: hyper2kvm 0.2.1 doesn't read it.",
        "type": "array",
        "items": {"type": "string"},
    }


NIC: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": text("Names the NIC within the manifest, such as nic-0."),
        "mac": text("MAC address.", pattern=patterns.MAC),
        "network": text("Network or port group that the NIC was attached to."),
        "label": text("Name of the NIC for people. An extension: hyper2kvm 0.2.1 doesn't read it."),
        "adapter_type": text(
            "Model of the NIC, such as vmxnet3 or e1000e. "
            "An extension: hyper2kvm 0.2.1 doesn't read it."
        ),
        "pci_slot": {
            "description": "vSphere's PCI slot number, from which a Linux guest names the NIC: 192 is ens192. "
            "An extension: hyper2kvm 0.2.1 doesn't read it.",
            "type": "integer",
            "minimum": 0,
        },
        "addresses": _seen("IP addresses that the guest was seen to have on this NIC."),
        "ip_config": {
            "description": "The same addresses with what vSphere knows of them. "
            "An extension: hyper2kvm 0.2.1 doesn't read it.",
            "type": "array",
            "items": IP_CONFIG,
        },
        "gateways": _seen(
            "Addresses of the gateways of the guest's default routes through this NIC."
        ),
        "dns_servers": _seen("Addresses of the name servers that the guest asks."),
        "dns_search": _seen("Domains that the guest looks names up in."),
    },
    "additionalProperties": False,
}

WARNING: dict[str, Any] = {
    "type": "object",
    "properties": {
        "stage": text("Stage that the warning comes from, such as export."),
        "message": text("The warning."),
        "timestamp": text("When it was given.", pattern=patterns.TIMESTAMP),
    },
    "required": ["stage", "message"],
    "additionalProperties": False,
}

METADATA: dict[str, Any] = {
    "description": "About the manifest itself, and what only the provider knows.",
    "type": "object",
    "properties": {
        "hypersdk_version": text("Version of the program that wrote the manifest."),
        "job_id": text("Id of the job that exported the VM; hypersdk takes the VM's id."),
        "created_at": text("When the manifest was first written.", pattern=patterns.TIMESTAMP),
        "tags": {
            "description": "Tags of one's own; hypersdk writes provider, export_format and vcenter_url.",
            "type": "object",
            "additionalProperties": {"type": "string"},
        },
        **{provider: _facts(provider) for provider in PROVIDER_FACTS},
    },
    "patternProperties": {"^x-": {"description": "Room for other programs; kept as it is."}},
    "additionalProperties": False,
}

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": SCHEMA_ID,
    "title": "Artifact Manifest v1.0",
    "description": "What was exported from a VM, how to check it, and what hyper2kvm is to do with it.",
    "type": "object",
    "properties": {
        "manifest_version": {"description": "Version of this contract.", "const": "1.0"},
        "source": SOURCE,
        "vm": VM,
        "disks": {
            "description": "The exported disks.",
            "type": "array",
            "minItems": 1,
            "items": DISK,
        },
        "nics": {"description": "The VM's network interfaces.", "type": "array", "items": NIC},
        "pipeline": PIPELINE,
        "configuration": CONFIGURATION,
        "output": OUTPUT,
        "options": OPTIONS,
        "profile": text(
            "Name of a profile of hyper2kvm whose settings are the defaults. "
            "hyper2kvm 0.2.1's wheel brings none of its own: profiles_directory says where it is.",
            pattern=patterns.PROFILE_NAME,
        ),
        "profile_overrides": {
            "description": "Settings that win over the profile's; the manifest's own win over both.",
            "type": "object",
        },
        "profiles_directory": text(
            "Absolute path of the directory that holds <profile>.yaml.",
            pattern=patterns.ABSOLUTE_PATH,
        ),
        "hooks": HOOKS,
        "libvirt_integration": LIBVIRT_INTEGRATION,
        "metadata": METADATA,
        "notes": {
            "description": "Notes of the export.",
            "type": "array",
            "items": {"type": "string"},
        },
        "warnings": {"description": "Warnings of the export.", "type": "array", "items": WARNING},
    },
    "required": ["manifest_version", "disks"],
    "anyOf": [{"required": ["pipeline"]}, {"required": ["profile"]}],
    "dependentRequired": {"profile": ["profiles_directory"], "profile_overrides": ["profile"]},
    "if": {"properties": {"disks": {"minItems": 2}}},
    "then": {"properties": {"disks": {"items": {"required": ["boot_order_hint"]}}}},
    "patternProperties": {"^x-": {"description": "Room for other programs; kept as it is."}},
    "additionalProperties": False,
}
