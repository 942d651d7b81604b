// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import "encoding/xml"

// What follows is the part of an OVF 1.1 envelope (DMTF DSP0243) that vSphere
// writes. The elements of rasd and vssd are in the order of their schemas, which
// is alphabetical.

type envelope struct {
	XMLName xml.Name `xml:"Envelope"`
	BuildID string   `xml:"vmw:buildId,attr"`
	Default string   `xml:"xmlns,attr"`
	CIM     string   `xml:"xmlns:cim,attr"`
	OVF     string   `xml:"xmlns:ovf,attr"`
	RASD    string   `xml:"xmlns:rasd,attr"`
	VMW     string   `xml:"xmlns:vmw,attr"`
	VSSD    string   `xml:"xmlns:vssd,attr"`
	XSI     string   `xml:"xmlns:xsi,attr"`

	Files    []ovfFile     `xml:"References>File"`
	Disks    diskSection   `xml:"DiskSection"`
	Networks *networkList  `xml:"NetworkSection"`
	System   virtualSystem `xml:"VirtualSystem"`
}

type ovfFile struct {
	Href string `xml:"ovf:href,attr"`
	ID   string `xml:"ovf:id,attr"`
	Size int64  `xml:"ovf:size,attr"`
}

type diskSection struct {
	Info  string    `xml:"Info"`
	Disks []ovfDisk `xml:"Disk"`
}

type ovfDisk struct {
	Capacity  int64  `xml:"ovf:capacity,attr"`
	Units     string `xml:"ovf:capacityAllocationUnits,attr"`
	ID        string `xml:"ovf:diskId,attr"`
	FileRef   string `xml:"ovf:fileRef,attr,omitempty"`
	Format    string `xml:"ovf:format,attr"`
	Populated int64  `xml:"ovf:populatedSize,attr,omitempty"`
}

type networkList struct {
	Info     string       `xml:"Info"`
	Networks []ovfNetwork `xml:"Network"`
}

type ovfNetwork struct {
	Name        string `xml:"ovf:name,attr"`
	Description string `xml:"Description"`
}

type virtualSystem struct {
	ID         string      `xml:"ovf:id,attr"`
	Info       string      `xml:"Info"`
	Name       string      `xml:"Name"`
	OS         osSection   `xml:"OperatingSystemSection"`
	Hardware   hardware    `xml:"VirtualHardwareSection"`
	Annotation *annotation `xml:"AnnotationSection"`
}

type osSection struct {
	ID          int    `xml:"ovf:id,attr"`
	Type        string `xml:"vmw:osType,attr"`
	Info        string `xml:"Info"`
	Description string `xml:"Description"`
}

type annotation struct {
	Info string `xml:"Info"`
	Text string `xml:"Annotation"`
}

type hardware struct {
	Info        string      `xml:"Info"`
	System      vssdSystem  `xml:"System"`
	Items       []rasdItem  `xml:"Item"`
	Config      []vmwConfig `xml:"vmw:Config"`
	ExtraConfig []vmwConfig `xml:"vmw:ExtraConfig"`
}

type vssdSystem struct {
	ElementName string `xml:"vssd:ElementName"`
	InstanceID  int    `xml:"vssd:InstanceID"`
	Identifier  string `xml:"vssd:VirtualSystemIdentifier"`
	Type        string `xml:"vssd:VirtualSystemType"`
}

type rasdItem struct {
	Required            string      `xml:"ovf:required,attr,omitempty"`
	Address             string      `xml:"rasd:Address,omitempty"`
	AddressOnParent     string      `xml:"rasd:AddressOnParent,omitempty"`
	AllocationUnits     string      `xml:"rasd:AllocationUnits,omitempty"`
	AutomaticAllocation string      `xml:"rasd:AutomaticAllocation,omitempty"`
	Connection          string      `xml:"rasd:Connection,omitempty"`
	Description         string      `xml:"rasd:Description,omitempty"`
	ElementName         string      `xml:"rasd:ElementName"`
	HostResource        string      `xml:"rasd:HostResource,omitempty"`
	InstanceID          int         `xml:"rasd:InstanceID"`
	Parent              int         `xml:"rasd:Parent,omitempty"`
	ResourceSubType     string      `xml:"rasd:ResourceSubType,omitempty"`
	ResourceType        int         `xml:"rasd:ResourceType"`
	VirtualQuantity     int64       `xml:"rasd:VirtualQuantity,omitempty"`
	Config              []vmwConfig `xml:"vmw:Config"`
}

type vmwConfig struct {
	Required string `xml:"ovf:required,attr"`
	Key      string `xml:"vmw:key,attr"`
	Value    string `xml:"vmw:value,attr"`
}

func optional(key, value string) vmwConfig { return vmwConfig{"false", key, value} }

// Resource types of CIM_ResourceAllocationSettingData.
const (
	rasdProcessor   = 3
	rasdMemory      = 4
	rasdIDE         = 5
	rasdSCSI        = 6
	rasdEthernet    = 10
	rasdCDROM       = 15
	rasdDisk        = 17
	rasdOtherDevice = 20
)

func newEnvelope() *envelope {
	const cim = "http://schemas.dmtf.org/wbem/wscim/1"
	return &envelope{
		BuildID: "build-24022515",
		Default: "http://schemas.dmtf.org/ovf/envelope/1",
		CIM:     cim + "/common",
		OVF:     "http://schemas.dmtf.org/ovf/envelope/1",
		RASD:    cim + "/cim-schema/2/CIM_ResourceAllocationSettingData",
		VMW:     "http://www.vmware.com/schema/ovf",
		VSSD:    cim + "/cim-schema/2/CIM_VirtualSystemSettingData",
		XSI:     "http://www.w3.org/2001/XMLSchema-instance",
		Disks:   diskSection{Info: "Virtual disk information"},
	}
}
