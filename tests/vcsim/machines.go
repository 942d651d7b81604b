// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

// machine is a VM of the inventory with the files that its export serves.
type machine struct {
	spec  vmSpec
	ref   types.ManagedObjectReference
	files []machineFile
}

// machineFile is what stands behind one device of a VM.
type machineFile struct {
	source    string // the file whose bytes are served
	deviceKey int32  // of the virtual device; 0 for the NVRAM
	kind      string // disk, nvram or cdrom
	capacity  int64  // bytes, of a disk
}

const (
	kindDisk  = "disk"
	kindNVRAM = "nvram"
	kindCDROM = "cdrom"
)

// builder creates the inventory's VMs through the simulator's own API.
type builder struct {
	ctx    context.Context
	model  *simulator.Model
	client *vim25.Client
	finder *find.Finder
}

func newBuilder(model *simulator.Model) (*builder, error) {
	ctx := context.Background()
	client, err := vim25.NewClient(ctx, model.Service)
	if err != nil {
		return nil, err
	}
	return &builder{ctx: ctx, model: model, client: client, finder: find.NewFinder(client)}, nil
}

// nameDatacenters gives the model's datacenters (DC0, DC1, …) the inventory's names.
func (b *builder) nameDatacenters(names []string) error {
	for i, name := range names {
		from := fmt.Sprintf("DC%d", i)
		if from == name {
			continue
		}
		dc, err := b.finder.Datacenter(b.ctx, "/"+from)
		if err != nil {
			return err
		}
		task, err := dc.Rename(b.ctx, name)
		if err != nil {
			return err
		}
		if err := task.Wait(b.ctx); err != nil {
			return fmt.Errorf("naming datacenter %s: %w", name, err)
		}
	}
	return nil
}

func (b *builder) create(spec vmSpec) (*machine, error) {
	dc, err := b.finder.Datacenter(b.ctx, "/"+spec.Datacenter)
	if err != nil {
		return nil, err
	}
	b.finder.SetDatacenter(dc)
	host, err := b.host(spec.Host)
	if err != nil {
		return nil, err
	}
	pool, err := host.ResourcePool(b.ctx)
	if err != nil {
		return nil, err
	}
	folder, err := b.folder(dc, spec.Folder)
	if err != nil {
		return nil, err
	}
	config, err := b.config(spec, host)
	if err != nil {
		return nil, err
	}
	task, err := folder.CreateVM(b.ctx, config, pool, host)
	if err != nil {
		return nil, err
	}
	info, err := task.WaitForResult(b.ctx)
	if err != nil {
		return nil, err
	}
	m := &machine{spec: spec, ref: info.Result.(types.ManagedObjectReference)}
	vm := b.model.Map().Get(m.ref).(*simulator.VirtualMachine)
	describe(vm, spec)
	setBootOrder(vm, spec)
	setTools(vm, spec, false)
	m.findFiles(vm)
	fillLayout(vm)
	if spec.Template {
		return m, object.NewVirtualMachine(b.client, m.ref).MarkAsTemplate(b.ctx)
	}
	if spec.PowerState == string(types.VirtualMachinePowerStatePoweredOn) {
		return m, b.powerOn(m)
	}
	return m, nil
}

func (b *builder) powerOn(m *machine) error {
	task, err := object.NewVirtualMachine(b.client, m.ref).PowerOn(b.ctx)
	if err != nil {
		return err
	}
	return task.Wait(b.ctx)
}

func (b *builder) host(name string) (*object.HostSystem, error) {
	if name != "" {
		return b.finder.HostSystem(b.ctx, name)
	}
	hosts, err := b.finder.HostSystemList(b.ctx, "*")
	if err != nil {
		return nil, err
	}
	return hosts[0], nil
}

// folder finds or makes the folders of a path below the datacenter's vm folder.
func (b *builder) folder(dc *object.Datacenter, below string) (*object.Folder, error) {
	folders, err := dc.Folders(b.ctx)
	if err != nil {
		return nil, err
	}
	folder := folders.VmFolder
	at := folder.InventoryPath
	for _, name := range strings.FieldsFunc(below, func(r rune) bool { return r == '/' }) {
		at = path.Join(at, name)
		next, err := b.finder.Folder(b.ctx, at)
		if err != nil {
			if next, err = folder.CreateFolder(b.ctx, name); err != nil {
				return nil, fmt.Errorf("folder %s: %w", at, err)
			}
		}
		folder = next
	}
	return folder, nil
}

func (b *builder) config(spec vmSpec, host *object.HostSystem) (types.VirtualMachineConfigSpec, error) {
	secure := spec.SecureBoot
	config := types.VirtualMachineConfigSpec{
		Name:         spec.Name,
		Version:      "vmx-19",
		GuestId:      spec.GuestID,
		Annotation:   spec.Annotation,
		Firmware:     spec.Firmware,
		Uuid:         spec.UUID,
		InstanceUuid: spec.InstanceUUID,
		NumCPUs:      spec.CPU,
		MemoryMB:     spec.MemoryMB,
		BootOptions:  &types.VirtualMachineBootOptions{EfiSecureBootEnabled: &secure},
		Files:        &types.VirtualMachineFileInfo{VmPathName: "[" + datastoreName + "]"},
	}
	devices, err := b.devices(spec, host)
	if err != nil {
		return config, err
	}
	config.DeviceChange, err = devices.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	return config, err
}

// findFiles ties the VM's devices to the files that its export serves.
func (m *machine) findFiles(vm *simulator.VirtualMachine) {
	var disk, cdrom int
	for _, device := range vm.Config.Hardware.Device {
		switch d := device.(type) {
		case *types.VirtualDisk:
			spec := m.spec.Disks[disk]
			m.files = append(m.files, machineFile{spec.Path, d.Key, kindDisk, spec.Capacity})
			disk++
		case *types.VirtualCdrom:
			m.files = append(m.files, machineFile{m.spec.CDROMs[cdrom].Path, d.Key, kindCDROM, 0})
			cdrom++
		}
	}
	if m.spec.NVRAM != "" {
		m.files = append(m.files, machineFile{m.spec.NVRAM, 0, kindNVRAM, 0})
	}
}

// describe fills in what the simulator leaves empty. pyVmomi can't read a property
// with an empty enumeration in it.
func describe(vm *simulator.VirtualMachine, spec vmSpec) {
	setDefault(&spec.GuestFullName, spec.GuestID)
	vm.Config.GuestFullName = spec.GuestFullName
	vm.Summary.Config.GuestFullName = spec.GuestFullName
	for _, runtime := range []*types.VirtualMachineRuntimeInfo{&vm.Runtime, &vm.Summary.Runtime} {
		runtime.FaultToleranceState = types.VirtualMachineFaultToleranceStateNotConfigured
		runtime.RecordReplayState = types.VirtualMachineRecordReplayStateInactive
	}
}

// setBootOrder puts disks into the VM's boot order, for which their keys must be known.
func setBootOrder(vm *simulator.VirtualMachine, spec vmSpec) {
	var keys []int32
	for _, device := range vm.Config.Hardware.Device {
		if disk, ok := device.(*types.VirtualDisk); ok {
			keys = append(keys, disk.Key)
		}
	}
	for _, place := range spec.BootDisks {
		vm.Config.BootOptions.BootOrder = append(vm.Config.BootOptions.BootOrder,
			&types.VirtualMachineBootOptionsBootableDiskDevice{DeviceKey: keys[place]})
	}
}

// setTools reports VMware Tools as they are on a VM that is on or off.
func setTools(vm *simulator.VirtualMachine, spec vmSpec, on bool) {
	guest := vm.Guest
	guest.ToolsStatus = types.VirtualMachineToolsStatusToolsNotInstalled
	guest.ToolsVersionStatus2 = string(types.VirtualMachineToolsVersionStatusGuestToolsNotInstalled)
	guest.ToolsRunningStatus = string(types.VirtualMachineToolsRunningStatusGuestToolsNotRunning)
	guest.GuestState = string(types.VirtualMachineGuestStateNotRunning)
	guest.HostName, guest.IpAddress, guest.Net, guest.IpStack = "", "", nil, nil
	if spec.Tools {
		guest.ToolsStatus = types.VirtualMachineToolsStatusToolsNotRunning
		guest.ToolsVersionStatus2 = string(types.VirtualMachineToolsVersionStatusGuestToolsUnmanaged)
	}
	if on {
		guest.GuestState = string(types.VirtualMachineGuestStateRunning)
	}
	if on && spec.Tools {
		guest.ToolsStatus = types.VirtualMachineToolsStatusToolsOk
		guest.ToolsRunningStatus = string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)
		guest.HostName = spec.Name
		guest.Net, guest.IpStack = guestNetwork(vm, spec)
		for _, nic := range guest.Net {
			if len(nic.IpAddress) > 0 && guest.IpAddress == "" {
				guest.IpAddress = nic.IpAddress[0]
			}
		}
	}
	vm.Summary.Guest.ToolsStatus = guest.ToolsStatus
	vm.Summary.Guest.ToolsRunningStatus = guest.ToolsRunningStatus
	vm.Summary.Guest.ToolsVersionStatus2 = guest.ToolsVersionStatus2
	vm.Summary.Guest.HostName = guest.HostName
	vm.Summary.Guest.IpAddress = guest.IpAddress
}
