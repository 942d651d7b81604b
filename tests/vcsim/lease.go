// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"reflect"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// lease is an export lease with the states and rules of vSphere's. Everything in
// it is guarded by the simulator's lock for the object.
type lease struct {
	mo.HttpNfcLease

	vc            *vcenter
	machine       *machine
	snapshot      string // the snapshot's id, for an ExportSnapshot
	files         []*nfcFile
	task          *simulator.Task
	timer         *time.Timer
	timedOut      bool
	doomed        bool // a fault has fixed the time of expiry: Progress does not help
	checksumTypes map[string]string
	gone          chan struct{} // closed when the lease has ended, however

	created, readyAt, endedAt time.Time
	end                       string // completed, aborted, expired, failed or cancelled
	abortFault, abortMessage  string
	manifestCalls             int
	progress                  []progressReport
}

type progressReport struct {
	Percent int32   `json:"percent"`
	When    float64 `json:"when"`
}

// locked runs f with the lease's lock, for work that no request asked for.
func (l *lease) locked(f func(ctx *simulator.Context)) {
	ctx := l.vc.newContext()
	ctx.WithLock(l, func() { f(ctx) })
}

func (l *lease) becomeReady() {
	l.locked(func(ctx *simulator.Context) {
		if l.State != types.HttpNfcLeaseStateInitializing {
			return
		}
		if f := l.vc.faults.one("lease_error", l.machine.spec.Name, nil); f != nil {
			l.finish(ctx, "failed", &types.LocalizedMethodFault{
				Fault:            &types.SystemError{RuntimeFault: types.RuntimeFault{}, Reason: f.Message},
				LocalizedMessage: f.Message,
			})
			return
		}
		timeout := l.vc.opts.leaseTimeout
		info := &types.HttpNfcLeaseInfo{
			Lease:        l.Self,
			Entity:       l.machine.ref,
			LeaseTimeout: int32((timeout + time.Second - 1) / time.Second),
		}
		for _, f := range l.files {
			info.DeviceUrl = append(info.DeviceUrl, f.deviceURL())
			info.TotalDiskCapacityInKB += f.capacity / 1024
			f.lease.Store(l)
		}
		l.readyAt = time.Now()
		ctx.Update(l, []types.PropertyChange{
			{Name: "initializeProgress", Val: int32(100)},
			{Name: "info", Val: *info},
			{Name: "state", Val: types.HttpNfcLeaseStateReady},
		})
		if f := l.vc.faults.one("lease_expire", l.machine.spec.Name, nil); f != nil {
			l.doomed = true
			timeout = f.duration(f.AfterSeconds)
		}
		l.timer = time.AfterFunc(timeout, l.expire)
	})
}

// expire ends a lease that nobody has reported progress on in time.
func (l *lease) expire() {
	l.locked(func(ctx *simulator.Context) {
		if l.State != types.HttpNfcLeaseStateReady {
			return
		}
		l.timedOut = true
		l.finish(ctx, "expired", &types.LocalizedMethodFault{
			Fault:            new(types.Timedout),
			LocalizedMessage: "The lease has timed out.",
		})
	})
}

// finish ends the lease: well when there is no fault.
func (l *lease) finish(ctx *simulator.Context, end string, fault *types.LocalizedMethodFault) {
	l.end, l.endedAt = end, time.Now()
	if l.timer != nil {
		l.timer.Stop()
	}
	close(l.gone)
	state := types.HttpNfcLeaseStateDone
	changes := []types.PropertyChange{}
	if fault != nil {
		state = types.HttpNfcLeaseStateError
		changes = append(changes, types.PropertyChange{Name: "error", Val: *fault})
	}
	ctx.Update(l, append(changes, types.PropertyChange{Name: "state", Val: state}))
	l.endTask(fault)
}

// refusal is the fault that a call gets on a lease that is not ready.
func (l *lease) refusal() *soap.Fault {
	switch {
	case l.timedOut:
		return soapFault("The lease has timed out.", new(types.Timedout))
	case l.State != types.HttpNfcLeaseStateReady:
		return soapFault(fmt.Sprintf("The operation is not allowed in the current state of the lease: %s.", l.State),
			new(types.InvalidState))
	}
	return nil
}

func (l *lease) HttpNfcLeaseProgress(ctx *simulator.Context, req *types.HttpNfcLeaseProgress) soap.HasFault {
	body := new(methods.HttpNfcLeaseProgressBody)
	if body.Fault_ = l.refusal(); body.Fault_ != nil {
		return body
	}
	if req.Percent < 0 || req.Percent > 100 {
		body.Fault_ = soapFault("A specified parameter was not correct: percent",
			&types.InvalidArgument{InvalidProperty: "percent"})
		return body
	}
	if l.taskCancelled() {
		l.finish(ctx, "cancelled", &types.LocalizedMethodFault{
			Fault:            new(types.RequestCanceled),
			LocalizedMessage: "The task was canceled by a user.",
		})
		body.Fault_ = l.refusal()
		return body
	}
	l.progress = append(l.progress, progressReport{req.Percent, seconds(time.Now())})
	if !l.doomed {
		l.timer.Reset(l.vc.opts.leaseTimeout)
	}
	ctx.Update(l, []types.PropertyChange{{Name: "transferProgress", Val: req.Percent}})
	l.taskProgress(req.Percent)
	body.Res = new(types.HttpNfcLeaseProgressResponse)
	return body
}

func (l *lease) HttpNfcLeaseComplete(ctx *simulator.Context, _ *types.HttpNfcLeaseComplete) soap.HasFault {
	body := new(methods.HttpNfcLeaseCompleteBody)
	if body.Fault_ = l.refusal(); body.Fault_ != nil {
		return body
	}
	l.finish(ctx, "completed", nil)
	body.Res = new(types.HttpNfcLeaseCompleteResponse)
	return body
}

func (l *lease) HttpNfcLeaseAbort(ctx *simulator.Context, req *types.HttpNfcLeaseAbort) soap.HasFault {
	body := new(methods.HttpNfcLeaseAbortBody)
	if l.State != types.HttpNfcLeaseStateInitializing {
		if body.Fault_ = l.refusal(); body.Fault_ != nil {
			return body
		}
	}
	fault := req.Fault
	if fault == nil {
		fault = &types.LocalizedMethodFault{
			Fault:            new(types.RequestCanceled),
			LocalizedMessage: "The task was canceled by a user.",
		}
	} else {
		l.abortMessage = fault.LocalizedMessage
		if fault.Fault != nil {
			l.abortFault = reflect.TypeOf(fault.Fault).Elem().Name()
		}
	}
	l.finish(ctx, "aborted", fault)
	body.Res = new(types.HttpNfcLeaseAbortResponse)
	return body
}

// HttpNfcLeaseGetManifest gives the digests of the files that were sent.
func (l *lease) HttpNfcLeaseGetManifest(_ *simulator.Context, _ *types.HttpNfcLeaseGetManifest) soap.HasFault {
	body := new(methods.HttpNfcLeaseGetManifestBody)
	if body.Fault_ = l.refusal(); body.Fault_ != nil {
		return body
	}
	if l.vc.faults.one("manifest_unsupported", l.machine.spec.Name, nil) != nil {
		body.Fault_ = soapFault("The operation is not supported on the object.", new(types.NotSupported))
		return body
	}
	l.manifestCalls++
	body.Res = new(types.HttpNfcLeaseGetManifestResponse)
	for _, f := range l.files {
		entry, err := f.manifestEntry(l.vc.digests, l.checksumTypes[f.key])
		if err != nil {
			body.Fault_ = soapFault(err.Error(), &types.SystemError{Reason: err.Error()})
			return body
		}
		if entry != nil {
			body.Res.Returnval = append(body.Res.Returnval, *entry)
		}
	}
	return body
}

// HttpNfcLeaseSetManifestChecksumType chooses the digests of the manifest.
func (l *lease) HttpNfcLeaseSetManifestChecksumType(
	_ *simulator.Context, req *types.HttpNfcLeaseSetManifestChecksumType,
) soap.HasFault {
	body := new(methods.HttpNfcLeaseSetManifestChecksumTypeBody)
	if body.Fault_ = l.refusal(); body.Fault_ != nil {
		return body
	}
	if l.vc.faults.one("checksum_type_unsupported", l.machine.spec.Name, nil) != nil {
		body.Fault_ = soapFault("The operation is not supported on the object.", new(types.NotSupported))
		return body
	}
	chosen := map[string]string{}
	for _, pair := range req.DeviceUrlsToChecksumTypes {
		if !l.hasKey(pair.Key) || (pair.Value != "sha1" && pair.Value != "sha256") {
			body.Fault_ = soapFault("A specified parameter was not correct: deviceUrlsToChecksumTypes",
				&types.InvalidArgument{InvalidProperty: "deviceUrlsToChecksumTypes"})
			return body
		}
		chosen[pair.Key] = pair.Value
	}
	l.checksumTypes = chosen
	body.Res = new(types.HttpNfcLeaseSetManifestChecksumTypeResponse)
	return body
}

func (l *lease) hasKey(key string) bool {
	for _, f := range l.files {
		if f.key == key {
			return true
		}
	}
	return false
}
