// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

var taskCounter atomic.Int64

// startTask shows the export in vCenter's recent tasks. The task is not run by
// the simulator, which would hold the VM's lock for as long as the export lasts.
func (l *lease) startTask(vm types.ManagedObjectReference) {
	task := new(simulator.Task)
	task.Self = types.ManagedObjectReference{
		Type:  "Task",
		Value: fmt.Sprintf("task-export-%d", taskCounter.Add(1)),
	}
	now := time.Now()
	task.Info = types.TaskInfo{
		Key:           task.Self.Value,
		Task:          task.Self,
		Name:          "ExportVm",
		DescriptionId: "VirtualMachine.exportVm",
		Entity:        &vm,
		EntityName:    l.machine.spec.Name,
		State:         types.TaskInfoStateRunning,
		Cancelable:    true,
		Reason:        &types.TaskReasonUser{UserName: l.vc.opts.username},
		QueueTime:     now,
		StartTime:     &now,
	}
	l.task = task
	l.vc.model.Map().Put(task)
}

func (l *lease) updateTask(changes ...types.PropertyChange) {
	ctx := l.vc.newContext()
	ctx.Map.AtomicUpdate(ctx, l.task, changes)
}

func (l *lease) taskProgress(percent int32) {
	l.updateTask(types.PropertyChange{Name: "info.progress", Val: percent})
}

func (l *lease) taskCancelled() bool {
	var cancelled bool
	ctx := l.vc.newContext()
	ctx.WithLock(l.task, func() { cancelled = l.task.Info.Cancelled })
	return cancelled
}

func (l *lease) endTask(fault *types.LocalizedMethodFault) {
	if l.taskCancelled() {
		return
	}
	changes := []types.PropertyChange{
		{Name: "info.completeTime", Val: time.Now()},
		{Name: "info.state", Val: types.TaskInfoStateSuccess},
	}
	if fault != nil {
		changes[1].Val = types.TaskInfoStateError
		changes = append(changes, types.PropertyChange{Name: "info.error", Val: *fault})
	}
	l.updateTask(changes...)
}
