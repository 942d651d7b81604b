// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"cmp"
	"fmt"
	"log"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

const all = -1

// faultSet is the list of faults in force.
type faultSet struct {
	mu     sync.Mutex
	faults []*fault
}

func (s *faultSet) replace(faults []*fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = faults
}

func (s *faultSet) list() []fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []fault{}
	for _, f := range s.faults {
		list = append(list, *f)
	}
	return list
}

// take gives the faults that happen now, as many as there may be, and counts them.
func (s *faultSet) take(most int, vm string, file *nfcFile, wanted func(*fault) bool) []*fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	var taken []*fault
	for _, f := range s.faults {
		if len(taken) == most {
			break
		}
		if !wanted(f) || !f.covers(vm, file) || (f.Count > 0 && f.Applied >= f.Count) {
			continue
		}
		if f.skipped < f.Skip {
			f.skipped++
			continue
		}
		f.Applied++
		taken = append(taken, f)
	}
	return taken
}

func (f *fault) covers(vm string, file *nfcFile) bool {
	if f.VM != "" && f.VM != vm {
		return false
	}
	if f.File == nil {
		return true
	}
	return file != nil && (f.File.name == file.name || (f.File.name == "" && f.File.index == file.index))
}

// one gives the first fault of a kind that happens outside a body, or nil.
func (s *faultSet) one(kind, vm string, file *nfcFile) *fault {
	taken := s.take(1, vm, file, func(f *fault) bool { return f.Kind == kind && !f.inBody() })
	if len(taken) == 0 {
		return nil
	}
	return taken[0]
}

// duration gives a fault's seconds; none are 0.
func (f *fault) duration(value *float64) time.Duration {
	if value == nil {
		return 0
	}
	return time.Duration(*value * float64(time.Second))
}

// plan is what happens to one body.
type plan struct {
	status         int // refuse with this
	retryAfter     *int
	contentLength  bool
	rate           int64
	flipAt         int64
	manifestAsSent bool
	steps          []*step // by place
}

// step is a fault at a place in a body.
type step struct {
	at    int64
	kind  string
	fault *fault
}

func (p *plan) next() *step {
	if len(p.steps) == 0 {
		return nil
	}
	return p.steps[0]
}

// wait is how long a stall lasts.
func (s *step) wait() <-chan time.Time { return time.After(s.fault.duration(s.fault.Seconds)) }

// plan takes the faults of one download.
func (s *faultSet) plan(file *nfcFile) *plan {
	p := &plan{flipAt: -1}
	refused := s.take(1, file.vm, file, func(f *fault) bool { return f.Kind == "status" })
	if len(refused) > 0 {
		p.status, p.retryAfter = refused[0].Code, refused[0].RetryAfter
		return p // nothing is sent: the other faults wait for a download that is
	}
	for _, f := range s.take(all, file.vm, file, duringBody) {
		p.manifestAsSent = p.manifestAsSent || f.Manifest == "sent"
		switch f.Kind {
		case "content_length":
			p.contentLength = true
		case "throttle":
			p.rate = f.BytesPerSecond
		case "flip":
			p.flipAt = *f.Offset
			if p.flipAt < 0 {
				p.flipAt += file.size
			}
		default:
			p.steps = append(p.steps, &step{at: f.place(file.size), kind: f.Kind, fault: f})
		}
	}
	slices.SortStableFunc(p.steps, func(a, b *step) int { return cmp.Compare(a.at, b.at) })
	return p
}

func duringBody(f *fault) bool {
	return f.inBody() || f.Kind == "content_length" || f.Kind == "throttle" || f.Kind == "flip"
}

// place is where in a body of this size the fault happens; its end at the latest.
func (f *fault) place(size int64) int64 {
	at := size
	if f.AfterBytes != nil {
		at = *f.AfterBytes
	} else if f.AfterPercent != nil {
		at = int64(float64(size) * *f.AfterPercent / 100)
	}
	return max(0, min(at, size))
}

// call makes the faults of a SOAP call happen.
func (s *faultSet) call(vc *vcenter, vm string, method *simulator.Method) types.BaseMethodFault {
	taken := s.take(all, vm, nil, func(f *fault) bool {
		switch f.Kind {
		case "session_lost":
			return !f.inBody() && (f.Method == "" || f.Method == method.Name)
		case "call_fails", "call_slow":
			return f.Method == method.Name
		}
		return false
	})
	for _, f := range taken {
		switch f.Kind {
		case "call_slow":
			time.Sleep(f.duration(f.Seconds))
		case "session_lost":
			vc.loseSessions(f)
			return notAuthenticated(method)
		case "call_fails":
			made, err := makeFault(f.Fault, method.This)
			if err != nil {
				log.Print(err) // checked when the fault was set
				return new(types.SystemError)
			}
			made.GetMethodFault().FaultMessage = []types.LocalizableMessage{{Key: "vcsim.fault", Message: f.Message}}
			return made
		}
	}
	return nil
}

// loseSessions ends all sessions; leases outlive theirs unless the fault says no.
func (vc *vcenter) loseSessions(f *fault) {
	vc.endSessions()
	if f.Leases != "lost" {
		return
	}
	vc.mu.Lock()
	leases := slices.Clone(vc.leases)
	vc.mu.Unlock()
	for _, l := range leases {
		l.lose()
	}
}

// lose takes the lease out of the inventory, as if it had never been.
func (l *lease) lose() {
	l.locked(func(ctx *simulator.Context) {
		if !l.hasEnded() {
			l.finish(ctx, "lost", &types.LocalizedMethodFault{
				Fault:            new(types.NotAuthenticated),
				LocalizedMessage: "The session of the lease has ended.",
			})
		}
	})
	l.vc.model.Map().Remove(l.vc.newContext(), l.Self)
}

// vcenterHTTP makes vCenter's web server refuse before the SOAP API is reached.
func (s *faultSet) vcenterHTTP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refused := s.take(1, "", nil, func(f *fault) bool { return f.Kind == "vcenter_status" })
		if len(refused) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		if after := refused[0].RetryAfter; after != nil {
			w.Header().Set("Retry-After", fmt.Sprint(*after))
		}
		http.Error(w, http.StatusText(refused[0].Code), refused[0].Code)
	})
}
