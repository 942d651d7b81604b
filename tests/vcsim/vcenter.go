// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/simulator/vpx"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// apiVersion is new enough for pyVmomi to show all of a lease.
const apiVersion = "8.0.3.0"

// vcenter is the simulator's model and what this program adds to it.
type vcenter struct {
	opts     options
	model    *simulator.Model
	faults   *faultSet
	nfc      *nfcServer
	digests  *digestCache
	journal  *journal
	mu       sync.Mutex // guards what follows
	machines map[types.ManagedObjectReference]*machine
	leases   []*lease
}

func newVCenter(opts options, inv *inventory, nfc *nfcServer, faults *faultSet) (*vcenter, error) {
	vc := &vcenter{
		opts:     opts,
		faults:   faults,
		nfc:      nfc,
		digests:  newDigestCache(),
		journal:  new(journal),
		machines: map[types.ManagedObjectReference]*machine{},
	}
	datacenters := inv.datacenters()
	vc.model = simulator.VPX()
	vc.model.Datacenter = len(datacenters)
	vc.model.Host = 0
	vc.model.ClusterHost = opts.hosts
	vc.model.Machine = opts.machines
	vc.model.Autostart = false
	vc.model.ServiceContent.About = aboutVCenter()
	if err := vc.model.Create(); err != nil {
		return nil, fmt.Errorf("building vCenter's inventory: %w", err)
	}
	registry := vc.model.Map()
	registry.Put(&exporter{self: exporterRef, vc: vc})
	registry.Put(&fetcher{mo.PropertyCollector{Self: fetcherRef}})
	manager := registry.Get(*vpx.ServiceContent.OvfManager).(*simulator.OvfManager)
	registry.Put(&ovfManager{OvfManager: manager, vc: vc})
	b, err := newBuilder(vc.model)
	if err != nil {
		return nil, err
	}
	if err := b.nameDatacenters(datacenters); err != nil {
		return nil, err
	}
	for _, spec := range inv.VMs {
		m, err := b.create(spec)
		if err != nil {
			return nil, fmt.Errorf("creating VM %s: %w", spec.Name, err)
		}
		vc.machines[m.ref] = m
		vc.digests.warm(m.files)
	}
	registry.AddHandler(&powerWatcher{self: powerWatcherRef, vc: vc})
	for _, m := range vc.machines {
		vm := registry.Get(m.ref).(*simulator.VirtualMachine)
		setTools(vm, m.spec, vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn)
	}
	registry.Handler = vc.intercept
	return vc, nil
}

func aboutVCenter() types.AboutInfo {
	about := vpx.ServiceContent.About
	about.FullName = "VMware vCenter Server 8.0.3 build-24022515"
	about.Version = "8.0.3"
	about.Build = "24022515"
	about.ApiVersion = apiVersion
	about.LicenseProductVersion = "8.0"
	return about
}

// datacenters lists the names in use, the default one always and first.
func (inv *inventory) datacenters() []string {
	names := []string{defaultDatacenter}
	seen := map[string]bool{defaultDatacenter: true}
	for _, vm := range inv.VMs {
		if !seen[vm.Datacenter] {
			seen[vm.Datacenter] = true
			names = append(names, vm.Datacenter)
		}
	}
	return names
}

// handler serves vCenter's SOAP API.
func (vc *vcenter) handler(address string) http.Handler {
	service := vc.model.Service
	service.Listen = &url.URL{
		Scheme: "https",
		Host:   address,
		Path:   vim25.Path,
		User:   url.UserPassword(vc.opts.username, vc.opts.password),
	}
	service.RegisterSDK(vc.model.Map(), vim25.Path+"/vimService")
	mux := service.ServeMux
	mux.HandleFunc(vim25.Path+"/vimServiceVersions.xml", serveVersions)
	mux.HandleFunc("/folder/", service.ServeDatastore)
	return vc.faults.vcenterHTTP(mux)
}

// serveVersions tells clients which API versions there are, as vCenter 8.0 U3 does.
func serveVersions(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/xml")
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?>
<namespaces version="1.0"><namespace><name>urn:vim25</name><version>%s</version><priorVersions>`, apiVersion)
	for _, prior := range []string{
		"8.0.2.0", "8.0.1.0", "8.0.0.1", "7.0.3.2", "7.0.3.1", "7.0.3.0", "7.0.2.0", "7.0.1.1", "7.0.1.0",
		"7.0.0.2", "7.0.0.0", "6.9.1", "6.8.7", "6.7.3", "6.7.2", "6.7.1", "6.7", "6.5", "6.0", "5.5",
	} {
		fmt.Fprintf(w, "<version>%s</version>", prior)
	}
	fmt.Fprint(w, "</priorVersions></namespace></namespaces>\n")
}

// newContext is for work that no request asked for: locks belong to a context.
func (vc *vcenter) newContext() *simulator.Context {
	ctx := *vc.model.Service.Context
	ctx.Context = context.Background()
	return &ctx
}

func (vc *vcenter) machine(ref types.ManagedObjectReference) *machine {
	vc.mu.Lock()
	defer vc.mu.Unlock()
	return vc.machines[ref]
}

// vmName tells which VM of the inventory a call is about: one on the VM itself, on
// a snapshot or on a lease.
func (vc *vcenter) vmName(ref types.ManagedObjectReference) string {
	switch object := vc.model.Map().Get(ref).(type) {
	case *lease:
		return object.machine.spec.Name
	case *simulator.VirtualMachineSnapshot:
		ref = object.Vm
	}
	if m := vc.machine(ref); m != nil {
		return m.spec.Name
	}
	return ""
}

// public lists what a client may call before it has logged in.
var public = map[string]bool{
	"ServiceInstance": true,
	"SessionManager":  true,
}

// intercept sees every call first: it makes faults happen, keeps a journal, and
// hands the calls that the simulator lacks to the exporter.
func (vc *vcenter) intercept(ctx *simulator.Context, method *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	if ctx.Session == nil && !retrievesPublic(method) && !public[method.This.Type] {
		return nil, notAuthenticated(method)
	}
	name := vc.vmName(method.This)
	if ctx.Session != nil {
		if fault := vc.faults.call(vc, name, method); fault != nil {
			return nil, fault
		}
	}
	vc.journal.call(name, method)
	switch method.Name {
	case "Fetch":
		method.This = fetcherRef
	case "ExportVm", "ShutdownGuest":
		if vc.machine(method.This) != nil {
			method.This = exporterRef
		}
	case "ExportSnapshot":
		method.This = exporterRef
	}
	return nil, nil
}

// retrievesPublic tells whether a call only reads objects that are open to all.
func retrievesPublic(method *simulator.Method) bool {
	if method.Name == "Fetch" { // pyVmomi's way to read; its type is the simulator's own
		this := reflect.ValueOf(method.Body).Elem().FieldByName("This")
		ref, ok := this.Interface().(types.ManagedObjectReference)
		return ok && public[ref.Type]
	}
	var specs []types.PropertyFilterSpec
	switch body := method.Body.(type) {
	case *types.RetrieveProperties:
		specs = body.SpecSet
	case *types.RetrievePropertiesEx:
		specs = body.SpecSet
	default:
		return false
	}
	for _, spec := range specs {
		for _, object := range spec.ObjectSet {
			if !public[object.Obj.Type] {
				return false
			}
		}
	}
	return true
}

func notAuthenticated(method *simulator.Method) types.BaseMethodFault {
	return &types.NotAuthenticated{
		NoPermission: types.NoPermission{Object: &method.This, PrivilegeId: "System.View"},
	}
}

// sessions lists who is logged in.
func (vc *vcenter) sessions() []types.UserSession {
	session := &simulator.Session{Registry: simulator.NewRegistry(), Map: vc.model.Map()}
	return session.Get(*vpx.ServiceContent.SessionManager).(*simulator.SessionManager).SessionList
}

// endSessions logs everybody out, as an idle time-out or a restart of vCenter does.
func (vc *vcenter) endSessions() int {
	request := new(types.TerminateSession)
	for _, session := range vc.sessions() {
		request.SessionId = append(request.SessionId, session.Key)
	}
	ctx := vc.newContext()
	ctx.Session = &simulator.Session{Registry: simulator.NewRegistry(), Map: vc.model.Map()}
	vc.model.Map().SessionManager().TerminateSession(ctx, request)
	return len(request.SessionId)
}

// touch changes a VM as an administrator's edit would: its changeVersion moves.
func (vc *vcenter) touch(ref types.ManagedObjectReference) error {
	client, err := vim25.NewClient(context.Background(), vc.model.Service)
	if err != nil {
		return err
	}
	request := types.ReconfigVM_Task{This: ref, Spec: types.VirtualMachineConfigSpec{
		Annotation: "touched at " + time.Now().Format(time.RFC3339Nano),
	}}
	_, err = methods.ReconfigVM_Task(context.Background(), client, &request)
	return err
}

func soapFault(message string, fault types.BaseMethodFault) *soap.Fault {
	return simulator.Fault(message, fault)
}
