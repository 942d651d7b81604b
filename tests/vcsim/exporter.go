// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

var exporterRef = types.ManagedObjectReference{Type: "Exporter", Value: "exporter"}

// exporter answers the calls on VMs and snapshots that the simulator lacks.
//
// It stands beside the simulator's own objects instead of wrapping them, because
// the simulator looks its VMs up by their concrete type.
type exporter struct {
	// Never used: SearchIndex.FindByUuid panics on an object that doesn't begin with one of mo's.
	mo.ExtensionManager

	self types.ManagedObjectReference
	vc   *vcenter
}

func (e *exporter) Reference() types.ManagedObjectReference { return e.self }

// Lock opts out of the simulator's lock per object: calls lock the VM instead.
func (e *exporter) Lock() {}

// Unlock goes with Lock.
func (e *exporter) Unlock() {}

// ExportVm opens a lease on the disks of a VM that is powered off.
func (e *exporter) ExportVm(ctx *simulator.Context, req *types.ExportVm) soap.HasFault {
	body := new(methods.ExportVmBody)
	vm := ctx.Map.Get(req.This).(*simulator.VirtualMachine)
	var state types.VirtualMachinePowerState
	ctx.WithLock(vm, func() { state = vm.Runtime.PowerState })
	if state != types.VirtualMachinePowerStatePoweredOff {
		body.Fault_ = soapFault("The attempted operation cannot be performed in the current state (Powered on).",
			&types.InvalidPowerState{
				RequestedState: types.VirtualMachinePowerStatePoweredOff,
				ExistingState:  state,
			})
		return body
	}
	body.Res = &types.ExportVmResponse{Returnval: e.vc.newLease(ctx, vm, "").Self}
	return body
}

// ExportSnapshot opens a lease on the disks of a VM as a snapshot holds them.
func (e *exporter) ExportSnapshot(ctx *simulator.Context, req *types.ExportSnapshot) soap.HasFault {
	body := new(methods.ExportSnapshotBody)
	snapshot, ok := ctx.Map.Get(req.This).(*simulator.VirtualMachineSnapshot)
	if !ok {
		body.Fault_ = soapFault("The snapshot has already been deleted.", &types.ManagedObjectNotFound{Obj: req.This})
		return body
	}
	if e.vc.machine(snapshot.Vm) == nil {
		return snapshot.ExportSnapshot(ctx, req)
	}
	vm := ctx.Map.Get(snapshot.Vm).(*simulator.VirtualMachine)
	body.Res = &types.ExportSnapshotResponse{Returnval: e.vc.newLease(ctx, vm, req.This.Value).Self}
	return body
}

// ShutdownGuest asks VMware Tools to shut the guest down and returns at once, as
// vSphere does. The power goes off after the VM's shutdown_delay, or never.
func (e *exporter) ShutdownGuest(ctx *simulator.Context, req *types.ShutdownGuest) soap.HasFault {
	body := new(methods.ShutdownGuestBody)
	vm := ctx.Map.Get(req.This).(*simulator.VirtualMachine)
	spec := e.vc.machine(req.This).spec
	var state types.VirtualMachinePowerState
	ctx.WithLock(vm, func() { state = vm.Runtime.PowerState })
	if state != types.VirtualMachinePowerStatePoweredOn {
		body.Fault_ = soapFault("The attempted operation cannot be performed in the current state (Powered off).",
			&types.InvalidPowerState{
				RequestedState: types.VirtualMachinePowerStatePoweredOn,
				ExistingState:  state,
			})
		return body
	}
	if !spec.Tools {
		body.Fault_ = soapFault("Cannot complete operation because VMware Tools is not running in this virtual machine.",
			new(types.ToolsUnavailable))
		return body
	}
	if delay := spec.shutdownDelay(); delay >= 0 {
		time.AfterFunc(delay, func() {
			off := e.vc.newContext()
			off.WithLock(vm, func() { vm.PowerOffVMTask(off, &types.PowerOffVM_Task{This: vm.Self}) })
		})
	}
	body.Res = new(types.ShutdownGuestResponse)
	return body
}

// shutdownDelay is negative for a guest that never shuts down.
func (v *vmSpec) shutdownDelay() time.Duration {
	if v.ShutdownDelay == nil {
		return 300 * time.Millisecond
	}
	return time.Duration(*v.ShutdownDelay * float64(time.Second))
}

// newLease puts a lease into the inventory. It gets ready a little later.
func (vc *vcenter) newLease(ctx *simulator.Context, vm *simulator.VirtualMachine, snapshot string) *lease {
	m := vc.machine(vm.Self)
	l := &lease{vc: vc, machine: m, snapshot: snapshot, created: time.Now(), gone: make(chan struct{})}
	session := "internal"
	if ctx.Session != nil {
		session = ctx.Session.Key
	}
	l.Self = types.ManagedObjectReference{
		Type:  "HttpNfcLease",
		Value: fmt.Sprintf("session[%s]%s", session, uuid.New()),
	}
	l.State = types.HttpNfcLeaseStateInitializing
	l.Mode = string(types.HttpNfcLeaseModePushOrGet)
	l.Capabilities = types.HttpNfcLeaseCapabilities{CorsSupported: true, PullModeSupported: true}
	ctx.WithLock(vm, func() { l.files = vc.leaseFiles(m, vm) })
	ctx.Map.Put(l)
	vc.mu.Lock()
	vc.leases = append(vc.leases, l)
	vc.mu.Unlock()
	l.startTask(vm.Self)
	time.AfterFunc(vc.opts.leaseDelay, l.becomeReady)
	return l
}

// leaseFiles names the files of a VM as ESXi does, and gives each a URL.
func (vc *vcenter) leaseFiles(m *machine, vm *simulator.VirtualMachine) []*nfcFile {
	devices := object.VirtualDeviceList(vm.Config.Hardware.Device)
	var files []*nfcFile
	for index, mf := range m.files {
		f := &nfcFile{index: index, machineFile: mf, vm: m.spec.Name}
		switch mf.kind {
		case kindNVRAM:
			f.key = fmt.Sprintf("/%s/nvram", vm.Self.Value)
			f.name = m.spec.Name + ".nvram"
		default:
			device := devices.FindByKey(mf.deviceKey)
			if device == nil {
				continue // taken out of the VM since the inventory was read
			}
			f.key = deviceKey(vm.Self, devices, device)
			extension := ".vmdk"
			if mf.kind == kindCDROM {
				extension = ".iso"
			}
			f.name = fmt.Sprintf("disk-%d%s", len(files), extension)
		}
		vc.nfc.publish(f, vc.faults)
		files = append(files, f)
	}
	return files
}

// deviceKey is how leases and descriptors call a device: the VM, the controller
// with its bus, and the unit, as in /vm-42/ParaVirtualSCSIController0:1.
func deviceKey(vm types.ManagedObjectReference, devices object.VirtualDeviceList, device types.BaseVirtualDevice) string {
	d := device.GetVirtualDevice()
	controller := devices.FindByKey(d.ControllerKey)
	bus, unit := int32(0), int32(0)
	if c, ok := controller.(types.BaseVirtualController); ok {
		bus = c.GetVirtualController().BusNumber
	}
	if d.UnitNumber != nil {
		unit = *d.UnitNumber
	}
	return fmt.Sprintf("/%s/%s%d:%d", vm.Value, devices.TypeName(controller), bus, unit)
}
