// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// journal remembers what clients did to the VMs.
type journal struct {
	mu      sync.Mutex
	entries []journalEntry
}

type journalEntry struct {
	When      float64 `json:"when"`
	VM        string  `json:"vm"`
	Operation string  `json:"operation"`
	State     string  `json:"state,omitempty"` // of a power state that has changed
	Name      string  `json:"name,omitempty"`  // of a snapshot
	Quiesce   bool    `json:"quiesce,omitempty"`
}

func (j *journal) add(entry journalEntry) {
	entry.When = seconds(time.Now())
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, entry)
}

func (j *journal) list() []journalEntry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]journalEntry{}, j.entries...)
}

// call notes the calls that change a VM.
func (j *journal) call(vm string, method *simulator.Method) {
	entry := journalEntry{VM: vm, Operation: method.Name}
	switch body := method.Body.(type) {
	case *types.PowerOnVM_Task, *types.PowerOffVM_Task, *types.ShutdownGuest, *types.ResetVM_Task,
		*types.SuspendVM_Task, *types.RebootGuest, *types.ReconfigVM_Task, *types.ExportVm,
		*types.RemoveAllSnapshots_Task, *types.RevertToCurrentSnapshot_Task:
	case *types.CreateSnapshot_Task:
		entry.Name, entry.Quiesce = body.Name, body.Quiesce
	case *types.CreateSnapshotEx_Task:
		entry.Name, entry.Quiesce = body.Name, body.QuiesceSpec != nil
	case *types.RemoveSnapshot_Task, *types.ExportSnapshot:
		entry.Name = method.This.Value
	default:
		return
	}
	j.add(entry)
}

var powerWatcherRef = types.ManagedObjectReference{Type: "PowerWatcher", Value: "power-watcher"}

// powerWatcher keeps VMware Tools' report in step with the power state.
type powerWatcher struct {
	self types.ManagedObjectReference
	vc   *vcenter
}

func (w *powerWatcher) Reference() types.ManagedObjectReference { return w.self }

func (w *powerWatcher) PutObject(*simulator.Context, mo.Reference) {}

func (w *powerWatcher) RemoveObject(*simulator.Context, types.ManagedObjectReference) {}

func (w *powerWatcher) UpdateObject(_ *simulator.Context, obj mo.Reference, changes []types.PropertyChange) {
	if obj.Reference().Type != "VirtualMachine" {
		return
	}
	for _, change := range changes {
		if change.Name != "runtime.powerState" {
			continue
		}
		m := w.vc.machine(obj.Reference())
		state, ok := change.Val.(types.VirtualMachinePowerState)
		if m == nil || !ok {
			continue
		}
		vm := w.vc.model.Map().Get(obj.Reference()).(*simulator.VirtualMachine)
		setTools(vm, m.spec, state == types.VirtualMachinePowerStatePoweredOn)
		w.vc.journal.add(journalEntry{VM: m.spec.Name, Operation: "powerState", State: string(state)})
	}
}

// seconds is a time as JSON carries it: seconds since 1970.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
