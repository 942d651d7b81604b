// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Decodes an Artifact Manifest the way hypersdk does and prints what arrived.
//
// The types have the field names and Go types that hypersdk publishes for the
// contract, so a value of another type (a time that Go can't parse, a tag that
// is no string) ends it with an error. Pointers tell 0 and false from what is
// missing.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

type manifest struct {
	ManifestVersion string         `json:"manifest_version"`
	Source          *source        `json:"source,omitempty"`
	VM              *vm            `json:"vm,omitempty"`
	Disks           []disk         `json:"disks"`
	NICs            []nic          `json:"nics,omitempty"`
	Notes           []string       `json:"notes,omitempty"`
	Warnings        []warning      `json:"warnings,omitempty"`
	Metadata        *metadata      `json:"metadata,omitempty"`
	Pipeline        *pipeline      `json:"pipeline,omitempty"`
	Configuration   *configuration `json:"configuration,omitempty"`
	Output          *output        `json:"output,omitempty"`
	Options         *options       `json:"options,omitempty"`
}

type source struct {
	Provider        string     `json:"provider"`
	VMID            string     `json:"vm_id,omitempty"`
	VMName          string     `json:"vm_name,omitempty"`
	Datacenter      string     `json:"datacenter,omitempty"`
	ExportTimestamp *time.Time `json:"export_timestamp,omitempty"`
	ExportMethod    string     `json:"export_method,omitempty"`
}

type vm struct {
	CPU        int    `json:"cpu,omitempty"`
	MemGB      int    `json:"mem_gb,omitempty"`
	Firmware   string `json:"firmware,omitempty"`
	SecureBoot *bool  `json:"secureboot,omitempty"`
	OSHint     string `json:"os_hint,omitempty"`
	OSVersion  string `json:"os_version,omitempty"`
}

type disk struct {
	ID            string `json:"id"`
	SourceFormat  string `json:"source_format"`
	Bytes         int64  `json:"bytes"`
	LocalPath     string `json:"local_path"`
	Checksum      string `json:"checksum,omitempty"`
	BootOrderHint *int   `json:"boot_order_hint,omitempty"`
	Label         string `json:"label,omitempty"`
	DiskType      string `json:"disk_type,omitempty"`
}

type nic struct {
	ID      string `json:"id,omitempty"`
	MAC     string `json:"mac,omitempty"`
	Network string `json:"network,omitempty"`
}

type warning struct {
	Stage     string     `json:"stage"`
	Message   string     `json:"message"`
	Timestamp *time.Time `json:"timestamp,omitempty"`
}

type metadata struct {
	HyperSDKVersion string            `json:"hypersdk_version,omitempty"`
	JobID           string            `json:"job_id,omitempty"`
	CreatedAt       *time.Time        `json:"created_at,omitempty"`
	Tags            map[string]string `json:"tags,omitempty"`
}

type pipeline struct {
	Inspect *struct {
		Enabled          bool  `json:"enabled"`
		CollectGuestInfo *bool `json:"collect_guest_info,omitempty"`
	} `json:"inspect,omitempty"`
	Fix *struct {
		Enabled           bool   `json:"enabled"`
		Backup            *bool  `json:"backup,omitempty"`
		PrintFstab        *bool  `json:"print_fstab,omitempty"`
		UpdateGrub        *bool  `json:"update_grub,omitempty"`
		RegenInitramfs    *bool  `json:"regen_initramfs,omitempty"`
		FstabMode         string `json:"fstab_mode,omitempty"`
		RemoveVMwareTools *bool  `json:"remove_vmware_tools,omitempty"`
	} `json:"fix,omitempty"`
	Convert *struct {
		Enabled       bool  `json:"enabled"`
		Compress      *bool `json:"compress,omitempty"`
		CompressLevel int   `json:"compress_level,omitempty"`
	} `json:"convert,omitempty"`
	Validate *struct {
		Enabled             bool  `json:"enabled"`
		CheckImageIntegrity *bool `json:"check_image_integrity,omitempty"`
	} `json:"validate,omitempty"`
}

type configuration struct {
	Users    map[string]any `json:"users,omitempty"`
	Services map[string]any `json:"services,omitempty"`
	Hostname map[string]any `json:"hostname,omitempty"`
	Network  map[string]any `json:"network,omitempty"`
}

type output struct {
	Directory string `json:"directory,omitempty"`
	Format    string `json:"format,omitempty"`
	Filename  string `json:"filename,omitempty"`
}

type options struct {
	DryRun  *bool `json:"dry_run,omitempty"`
	Verbose *int  `json:"verbose,omitempty"`
	Report  *struct {
		Enabled *bool  `json:"enabled,omitempty"`
		Path    string `json:"path,omitempty"`
	} `json:"report,omitempty"`
}

func main() {
	var document manifest
	if err := json.NewDecoder(os.Stdin).Decode(&document); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(document); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
