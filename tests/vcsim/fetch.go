// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"reflect"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

var fetcherRef = types.ManagedObjectReference{Type: "Fetcher", Value: "fetcher"}

// fetcher answers Fetch, with which pyVmomi reads one property of an object. For
// a property that is unset the simulator's own answer is a response of another
// method, which pyVmomi can't read: a lease's info while it is initializing, for
// one. vCenter answers with an empty response.
//
// It embeds a managed object because the simulator's searches panic on an object
// that embeds none.
type fetcher struct {
	mo.PropertyCollector
}

// Lock opts out of the simulator's lock per object: the reader takes locks itself.
func (f *fetcher) Lock() {}

// Unlock goes with Lock.
func (f *fetcher) Unlock() {}

type fetchBody struct {
	Res    *FetchResponse `xml:"FetchResponse,omitempty"`
	Fault_ *soap.Fault    `xml:"http://schemas.xmlsoap.org/soap/envelope/ Fault,omitempty"`
}

func (b *fetchBody) Fault() *soap.Fault { return b.Fault_ }

// FetchResponse is exported for the sake of its name, which goes on the wire.
type FetchResponse struct {
	Returnval types.AnyType `xml:"returnval,omitempty,typeattr"`
}

// Fetch takes any request because the simulator does not export the request's type.
func (f *fetcher) Fetch(ctx *simulator.Context, req any) soap.HasFault {
	content := ctx.Map.Get(vim25.ServiceInstance).(*simulator.ServiceInstance).Content
	collector := ctx.Map.Get(content.PropertyCollector)
	if ctx.Session != nil {
		collector = ctx.Session.Get(content.PropertyCollector)
	}
	args := []reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(req)}
	response := reflect.ValueOf(collector).MethodByName("Fetch").Call(args)[0].Interface().(soap.HasFault)
	if other, ok := response.(*methods.RetrievePropertiesExBody); ok && other.Fault_ == nil {
		return &fetchBody{Res: new(FetchResponse)}
	}
	return response
}
