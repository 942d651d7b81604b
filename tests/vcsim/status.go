// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

type leaseStatus struct {
	ID                string            `json:"id"`
	VM                string            `json:"vm"`
	Snapshot          string            `json:"snapshot,omitempty"`
	State             string            `json:"state"`
	End               string            `json:"end"`
	Error             string            `json:"error"`
	AbortFault        string            `json:"abort_fault"` // the type of what Abort was given
	AbortMessage      string            `json:"abort_message"`
	Created           float64           `json:"created"`
	Ready             float64           `json:"ready"`
	Ended             float64           `json:"ended"`
	TimeoutSeconds    float64           `json:"timeout_seconds"`
	ManifestCalls     int               `json:"manifest_calls"`
	ChecksumTypes     map[string]string `json:"checksum_types"`
	Progress          []progressReport  `json:"progress"`
	Files             []fileStatus      `json:"files"`
	TransferPercent   int32             `json:"transfer_percent"`
	TotalCapacityInKB int64             `json:"total_capacity_kb"`
}

type fileStatus struct {
	Index    int          `json:"index"`
	Key      string       `json:"key"`
	Kind     string       `json:"kind"`
	Name     string       `json:"name"`
	TargetID string       `json:"target_id"`
	URL      string       `json:"url"`
	Size     int64        `json:"size"`
	Bytes    int64        `json:"bytes"` // sent by all requests together
	Requests []nfcRequest `json:"requests"`
}

type vmStatus struct {
	Name          string   `json:"name"`
	MoID          string   `json:"moid"`
	PowerState    string   `json:"power_state"`
	ChangeVersion string   `json:"change_version"`
	Snapshots     []string `json:"snapshots"`
}

type sessionStatus struct {
	User      string  `json:"user"`
	UserAgent string  `json:"user_agent"`
	Login     float64 `json:"login"`
	Calls     int64   `json:"calls"`
}

type status struct {
	Leases       []leaseStatus   `json:"leases"`
	VMs          []vmStatus      `json:"vms"`
	Sessions     []sessionStatus `json:"sessions"`
	Operations   []journalEntry  `json:"operations"`
	Faults       []fault         `json:"faults"`
	DigestsReady bool            `json:"digests_ready"` // the files have been read once
}

func (vc *vcenter) status() status {
	s := status{
		Leases:       []leaseStatus{},
		VMs:          []vmStatus{},
		Sessions:     []sessionStatus{},
		Operations:   vc.journal.list(),
		Faults:       vc.faults.list(),
		DigestsReady: vc.digests.pending.Load() == 0,
	}
	vc.mu.Lock()
	leases := slices.Clone(vc.leases)
	machines := []*machine{}
	for _, m := range vc.machines {
		machines = append(machines, m)
	}
	vc.mu.Unlock()
	for _, l := range leases {
		s.Leases = append(s.Leases, l.status())
	}
	slices.SortFunc(machines, func(a, b *machine) int { return cmp.Compare(a.ref.Value, b.ref.Value) })
	for _, m := range machines {
		s.VMs = append(s.VMs, vc.vmStatus(m))
	}
	for _, session := range vc.sessions() {
		s.Sessions = append(s.Sessions, sessionStatus{
			User:      session.UserName,
			UserAgent: session.UserAgent,
			Login:     seconds(session.LoginTime),
			Calls:     session.CallCount,
		})
	}
	return s
}

func (vc *vcenter) vmStatus(m *machine) vmStatus {
	s := vmStatus{Name: m.spec.Name, MoID: m.ref.Value, Snapshots: []string{}}
	vm, ok := vc.model.Map().Get(m.ref).(*simulator.VirtualMachine)
	if !ok {
		return s // destroyed
	}
	vc.newContext().WithLock(vm, func() {
		s.Name = vm.Name
		s.PowerState = string(vm.Runtime.PowerState)
		s.ChangeVersion = vm.Config.ChangeVersion
		if vm.Snapshot != nil {
			s.Snapshots = snapshotNames(s.Snapshots, vm.Snapshot.RootSnapshotList)
		}
	})
	return s
}

func snapshotNames(names []string, tree []types.VirtualMachineSnapshotTree) []string {
	for _, node := range tree {
		names = snapshotNames(append(names, node.Name), node.ChildSnapshotList)
	}
	return names
}

func (l *lease) status() leaseStatus {
	var s leaseStatus
	l.locked(func(*simulator.Context) {
		s = leaseStatus{
			ID:              l.Self.Value,
			VM:              l.machine.spec.Name,
			Snapshot:        l.snapshot,
			State:           string(l.State),
			End:             l.end,
			AbortFault:      l.abortFault,
			AbortMessage:    l.abortMessage,
			Created:         seconds(l.created),
			Ready:           seconds(l.readyAt),
			Ended:           seconds(l.endedAt),
			TimeoutSeconds:  l.vc.opts.leaseTimeout.Seconds(),
			ManifestCalls:   l.manifestCalls,
			ChecksumTypes:   l.checksumTypes,
			Progress:        append([]progressReport{}, l.progress...),
			TransferPercent: l.TransferProgress,
			Files:           []fileStatus{},
		}
		if l.Error != nil {
			s.Error = l.Error.LocalizedMessage
		}
		if l.Info != nil {
			s.TotalCapacityInKB = l.Info.TotalDiskCapacityInKB
		}
	})
	for _, f := range l.files {
		s.Files = append(s.Files, f.status())
	}
	return s
}

func (f *nfcFile) status() fileStatus {
	s := fileStatus{
		Index:    f.index,
		Key:      f.key,
		Kind:     f.kind,
		Name:     f.name,
		TargetID: f.targetID,
		URL:      f.url,
		Size:     f.size,
		Requests: []nfcRequest{},
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		sent := atomic.LoadInt64(&r.Bytes)
		s.Bytes += sent
		s.Requests = append(s.Requests, nfcRequest{
			When: r.When, Seconds: r.Seconds, Bytes: sent, Status: r.Status,
			Outcome: r.Outcome, Credentials: r.Credentials,
		})
	}
	return s
}

// control is the API by which tests look at the simulator and break it.
func (vc *vcenter) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { reply(w, vc.status()) })
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, _ *http.Request) { reply(w, vc.faults.list()) })
	mux.HandleFunc("POST /faults", func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			complain(w, http.StatusBadRequest, err.Error())
			return
		}
		faults, err := parseFaults(data)
		if err != nil {
			complain(w, http.StatusBadRequest, err.Error())
			return
		}
		vc.faults.replace(faults)
		reply(w, vc.faults.list())
	})
	mux.HandleFunc("POST /sessions/end", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]int{"ended": vc.endSessions()})
	})
	mux.HandleFunc("POST /vms/{name}/touch", func(w http.ResponseWriter, r *http.Request) {
		m := vc.machineNamed(r.PathValue("name"))
		if m == nil {
			complain(w, http.StatusNotFound, "no VM "+r.PathValue("name")+" in the inventory")
			return
		}
		if err := vc.touch(m.ref); err != nil {
			complain(w, http.StatusInternalServerError, err.Error())
			return
		}
		reply(w, vc.vmStatus(m))
	})
	return mux
}

func (vc *vcenter) machineNamed(name string) *machine {
	vc.mu.Lock()
	defer vc.mu.Unlock()
	for _, m := range vc.machines {
		if m.spec.Name == name {
			return m
		}
	}
	return nil
}

func reply(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(value)
}

func complain(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": message})
}
