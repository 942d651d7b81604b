// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// inventory is the file that says which VMs this vCenter has.
type inventory struct {
	VMs []vmSpec `json:"vms"`
}

type vmSpec struct {
	Name          string     `json:"name"`
	Datacenter    string     `json:"datacenter"`
	Folder        string     `json:"folder"` // below the datacenter's vm folder, "/" between names
	Host          string     `json:"host"`   // the ESXi host's name; the first when empty
	GuestID       string     `json:"guest_id"`
	GuestFullName string     `json:"guest_full_name"`
	Firmware      string     `json:"firmware"` // bios or efi
	SecureBoot    bool       `json:"secure_boot"`
	CPU           int32      `json:"cpu"`
	MemoryMB      int64      `json:"memory_mb"`
	PowerState    string     `json:"power_state"` // poweredOff or poweredOn
	Tools         bool       `json:"tools"`       // VMware Tools run while the VM is on
	ShutdownDelay *float64   `json:"shutdown_delay"`
	UUID          string     `json:"uuid"`
	InstanceUUID  string     `json:"instance_uuid"`
	Annotation    string     `json:"annotation"`
	Template      bool       `json:"template"`
	TPM           bool       `json:"tpm"`
	Disks         []diskSpec `json:"disks"`
	BootDisks     []int      `json:"boot_disks"` // the boot order, by places in disks; none when empty
	NICs          []nicSpec  `json:"nics"`
	CDROMs        []fileSpec `json:"cdroms"`
	NVRAM         string     `json:"nvram"`
}

type diskSpec struct {
	Path        string `json:"path"`
	Capacity    int64  `json:"capacity"` // bytes; from the VMDK's header when 0
	Label       string `json:"label"`
	Controller  string `json:"controller"`    // pvscsi, lsilogic, lsilogic-sas, buslogic, sata, nvme
	Mode        string `json:"mode"`          // vSphere's diskMode; persistent when empty
	Sharing     string `json:"sharing"`       // vSphere's sharing: sharingMultiWriter
	NoContentID bool   `json:"no_content_id"` // whether vSphere can't tell contents apart
}

type nicSpec struct {
	MAC     string `json:"mac"`
	Network string `json:"network"`
	Adapter string `json:"adapter"` // vmxnet3, e1000, e1000e
	PCISlot int32  `json:"pci_slot"`
	DVPort  bool   `json:"distributed"` // the network is a distributed port group
	// What VMware Tools report while the VM is on.
	Addresses []string `json:"addresses"` // with a prefix, as in 192.0.2.10/24, if Tools tell it
	DHCP      bool     `json:"dhcp"`      // where the addresses come from
	Gateways  []string `json:"gateways"`
	DNS       []string `json:"dns"`
	Search    []string `json:"search"`
}

type fileSpec struct {
	Path string `json:"path"`
}

const (
	defaultDatacenter = "DC0"
	defaultNetwork    = "VM Network"
)

// loadInventory reads and completes an inventory. Relative paths in it start at
// its own directory.
func loadInventory(path string) (*inventory, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var inv inventory
	if err := decoder.Decode(&inv); err != nil {
		return nil, fmt.Errorf("inventory %s: %w", path, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("inventory %s: more than one JSON value", path)
	}
	base, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	for i := range inv.VMs {
		if err := inv.VMs[i].complete(base); err != nil {
			return nil, fmt.Errorf("inventory %s: VM %d (%s): %w", path, i, inv.VMs[i].Name, err)
		}
	}
	return &inv, nil
}

func (v *vmSpec) complete(base string) error {
	if v.Name == "" {
		return errors.New("name is missing")
	}
	setDefault(&v.Datacenter, defaultDatacenter)
	setDefault(&v.GuestID, "otherGuest64")
	setDefault(&v.Firmware, "bios")
	setDefault(&v.PowerState, "poweredOff")
	if v.CPU == 0 {
		v.CPU = 1
	}
	if v.MemoryMB == 0 {
		v.MemoryMB = 1024
	}
	if err := oneOf("firmware", v.Firmware, "bios", "efi"); err != nil {
		return err
	}
	if err := oneOf("power_state", v.PowerState, "poweredOff", "poweredOn"); err != nil {
		return err
	}
	if !slices.Contains(simulator.GuestID, types.VirtualMachineGuestOsIdentifier(v.GuestID)) {
		return fmt.Errorf("guest_id %q is not one of vSphere's", v.GuestID)
	}
	if v.SecureBoot && v.Firmware != "efi" {
		return errors.New("secure_boot needs firmware efi")
	}
	for i := range v.Disks {
		if err := v.Disks[i].complete(base); err != nil {
			return fmt.Errorf("disk %d: %w", i, err)
		}
	}
	for _, place := range v.BootDisks {
		if place < 0 || place >= len(v.Disks) {
			return fmt.Errorf("boot_disks names disk %d of %d", place, len(v.Disks))
		}
	}
	for i := range v.NICs {
		setDefault(&v.NICs[i].Network, defaultNetwork)
		setDefault(&v.NICs[i].Adapter, "vmxnet3")
		if _, _, err := v.NICs[i].configured(); err != nil {
			return fmt.Errorf("nic %d: %w", i, err)
		}
	}
	for i := range v.CDROMs {
		if err := absolute(&v.CDROMs[i].Path, base); err != nil {
			return fmt.Errorf("cdrom %d: %w", i, err)
		}
	}
	if v.NVRAM != "" {
		if err := absolute(&v.NVRAM, base); err != nil {
			return fmt.Errorf("nvram: %w", err)
		}
	}
	return nil
}

func (d *diskSpec) complete(base string) error {
	setDefault(&d.Controller, "pvscsi")
	if err := absolute(&d.Path, base); err != nil {
		return err
	}
	if d.Capacity == 0 {
		capacity, err := vmdkCapacity(d.Path)
		if err != nil {
			return err
		}
		d.Capacity = capacity
	}
	return nil
}

// absolute makes a path absolute and makes sure that its file can be read.
func absolute(path *string, base string) error {
	if *path == "" {
		return errors.New("path is missing")
	}
	if !filepath.IsAbs(*path) {
		*path = filepath.Join(base, *path)
	}
	f, err := os.Open(*path)
	if err != nil {
		return err
	}
	return f.Close()
}

func setDefault(field *string, value string) {
	if *field == "" {
		*field = value
	}
}

func oneOf(name, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s is %q, must be one of %q", name, value, allowed)
}
