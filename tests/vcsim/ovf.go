// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// ovfManager adds CreateDescriptor to the simulator's.
type ovfManager struct {
	*simulator.OvfManager
	vc *vcenter
}

// CreateDescriptor writes the OVF of a VM with the files that the client names.
func (m *ovfManager) CreateDescriptor(ctx *simulator.Context, req *types.CreateDescriptor) soap.HasFault {
	body := new(methods.CreateDescriptorBody)
	vm, ok := ctx.Map.Get(req.Obj).(*simulator.VirtualMachine)
	if !ok {
		body.Fault_ = soapFault("A specified parameter was not correct: obj",
			&types.InvalidArgument{InvalidProperty: "obj"})
		return body
	}
	if f := m.vc.faults.one("create_descriptor", vm.Name, nil); f != nil {
		made := &types.OvfExport{}
		if f.How != "errors" {
			body.Fault_ = soapFault(f.Message, made)
			return body
		}
		body.Res = &types.CreateDescriptorResponse{Returnval: types.OvfCreateDescriptorResult{
			Error: []types.LocalizedMethodFault{{Fault: made, LocalizedMessage: f.Message}},
		}}
		return body
	}
	d := &descriptor{envelope: newEnvelope(), registry: ctx.Map, vm: vm, params: req.Cdp}
	var text string
	var err error
	ctx.WithLock(vm, func() { text, err = d.build() })
	if err != nil {
		body.Fault_ = soapFault(err.Error(), &types.InvalidArgument{InvalidProperty: "cdp.ovfFiles"})
		return body
	}
	body.Res = &types.CreateDescriptorResponse{
		Returnval: types.OvfCreateDescriptorResult{OvfDescriptor: text, IncludeImageFiles: req.Cdp.IncludeImageFiles},
	}
	return body
}

// descriptor is an envelope in the making.
type descriptor struct {
	*envelope
	registry  *simulator.Registry
	vm        *simulator.VirtualMachine
	params    types.OvfCreateDescriptorParams
	files     map[string]types.OvfFile // by the device's key
	fileIDs   map[string]string
	instances map[int32]int // by the controller's key
	disks     int
}

func (d *descriptor) build() (string, error) {
	devices := object.VirtualDeviceList(d.vm.Config.Hardware.Device)
	if err := d.addFiles(devices); err != nil {
		return "", err
	}
	d.describeSystem()
	d.addProcessors()
	d.addControllers(devices)
	networks := []ovfNetwork{}
	for _, device := range devices {
		switch x := device.(type) {
		case *types.VirtualDisk:
			d.addDisk(devices, x)
		case *types.VirtualCdrom:
			d.addCDROM(devices, x)
		case types.BaseVirtualEthernetCard:
			network := d.addNetworkCard(devices, x)
			if !hasNetwork(networks, network) {
				networks = append(networks, ovfNetwork{network, "The " + network + " network"})
			}
		}
	}
	if len(networks) > 0 {
		d.Networks = &networkList{"The list of logical networks", networks}
	}
	d.addConfig()
	text, err := xml.MarshalIndent(d.envelope, "", "  ")
	if err != nil {
		return "", err
	}
	return xml.Header + string(text) + "\n", nil
}

func hasNetwork(networks []ovfNetwork, name string) bool {
	for _, n := range networks {
		if n.Name == name {
			return true
		}
	}
	return false
}

// addFiles writes the References and refuses files of devices that there are not.
func (d *descriptor) addFiles(devices object.VirtualDeviceList) error {
	known := map[string]bool{fmt.Sprintf("/%s/nvram", d.vm.Self.Value): true}
	for _, device := range devices {
		switch device.(type) {
		case *types.VirtualDisk, *types.VirtualCdrom:
			known[deviceKey(d.vm.Self, devices, device)] = true
		}
	}
	d.files, d.fileIDs = map[string]types.OvfFile{}, map[string]string{}
	for i, f := range d.params.OvfFiles {
		if !known[f.DeviceId] {
			return fmt.Errorf("ovfFiles: the VM has no device %s", f.DeviceId)
		}
		id := fmt.Sprintf("file%d", i+1)
		d.files[f.DeviceId], d.fileIDs[f.DeviceId] = f, id
		d.Files = append(d.Files, ovfFile{f.Path, id, f.Size})
	}
	return nil
}

func (d *descriptor) describeSystem() {
	name := d.params.Name
	if name == "" {
		name = d.vm.Name
	}
	d.System = virtualSystem{
		ID:   name,
		Info: "A virtual machine",
		Name: name,
		OS: osSection{
			ID:          cimOS(d.vm.Config.GuestId),
			Type:        d.vm.Config.GuestId,
			Info:        "The kind of installed guest operating system",
			Description: d.vm.Config.GuestFullName,
		},
		Hardware: hardware{
			Info: "Virtual hardware requirements",
			System: vssdSystem{
				ElementName: "Virtual Hardware Family",
				Identifier:  name,
				Type:        d.vm.Config.Version,
			},
		},
	}
	if text := d.params.Description; text != "" {
		d.System.Annotation = &annotation{"A human-readable annotation", text}
	} else if d.vm.Config.Annotation != "" {
		d.System.Annotation = &annotation{"A human-readable annotation", d.vm.Config.Annotation}
	}
}

// cimOS gives CIM_OperatingSystem's number for the guest ids that tests use.
func cimOS(guestID string) int {
	id := strings.ToLower(guestID)
	bits := 0
	if strings.Contains(id, "64") {
		bits = 1
	}
	switch {
	case strings.HasPrefix(id, "debian"):
		return 95 + bits
	case strings.HasPrefix(id, "ubuntu"):
		return 93 + bits
	case strings.HasPrefix(id, "rhel"), strings.HasPrefix(id, "rocky"), strings.HasPrefix(id, "alma"):
		return 79 + bits
	case strings.HasPrefix(id, "sles"):
		return 84 + bits
	case strings.HasPrefix(id, "centos"):
		return 106 + bits
	case strings.HasPrefix(id, "other") && strings.Contains(id, "linux"):
		return 100 + bits
	}
	return 1 + 101*bits
}

func (d *descriptor) item(item rasdItem) int {
	item.InstanceID = len(d.System.Hardware.Items) + 1
	d.System.Hardware.Items = append(d.System.Hardware.Items, item)
	return item.InstanceID
}

func (d *descriptor) addProcessors() {
	hw := d.vm.Config.Hardware
	d.item(rasdItem{
		AllocationUnits: "hertz * 10^6",
		Description:     "Number of Virtual CPUs",
		ElementName:     fmt.Sprintf("%d virtual CPU(s)", hw.NumCPU),
		ResourceType:    rasdProcessor,
		VirtualQuantity: int64(hw.NumCPU),
	})
	d.item(rasdItem{
		AllocationUnits: "byte * 2^20",
		Description:     "Memory Size",
		ElementName:     fmt.Sprintf("%dMB of memory", hw.MemoryMB),
		ResourceType:    rasdMemory,
		VirtualQuantity: int64(hw.MemoryMB),
	})
}

func (d *descriptor) addControllers(devices object.VirtualDeviceList) {
	d.instances = map[int32]int{}
	for _, device := range devices {
		item := rasdItem{Config: slotInfo(device)}
		switch c := device.(type) {
		case *types.ParaVirtualSCSIController:
			item.ResourceType, item.ResourceSubType = rasdSCSI, "VirtualSCSI"
		case *types.VirtualLsiLogicController:
			item.ResourceType, item.ResourceSubType = rasdSCSI, "lsilogic"
		case *types.VirtualLsiLogicSASController:
			item.ResourceType, item.ResourceSubType = rasdSCSI, "lsilogicsas"
		case *types.VirtualBusLogicController:
			item.ResourceType, item.ResourceSubType = rasdSCSI, "buslogic"
		case *types.VirtualAHCIController:
			item.ResourceType, item.ResourceSubType = rasdOtherDevice, "vmware.sata.ahci"
		case *types.VirtualNVMEController:
			item.ResourceType, item.ResourceSubType = rasdOtherDevice, "vmware.nvme.controller"
		case *types.VirtualIDEController:
			if len(c.Device) == 0 {
				continue
			}
			item.ResourceType = rasdIDE
		default:
			continue
		}
		c := device.(types.BaseVirtualController).GetVirtualController()
		item.Address = fmt.Sprint(c.BusNumber)
		kinds := map[int]string{rasdSCSI: "SCSI", rasdIDE: "IDE"}
		kind, ok := kinds[item.ResourceType]
		if !ok {
			kind = strings.ToUpper(devices.Type(device))
		}
		item.Description = kind + " Controller"
		item.ElementName = fmt.Sprintf("%s Controller %d", kind, c.BusNumber)
		d.instances[c.Key] = d.item(item)
	}
}

func slotInfo(device types.BaseVirtualDevice) []vmwConfig {
	slot, ok := device.GetVirtualDevice().SlotInfo.(*types.VirtualDevicePciBusSlotInfo)
	if !ok {
		return nil
	}
	return []vmwConfig{optional("slotInfo.pciSlotNumber", fmt.Sprint(slot.PciSlotNumber))}
}

func (d *descriptor) addDisk(devices object.VirtualDeviceList, disk *types.VirtualDisk) {
	d.disks++
	key := deviceKey(d.vm.Self, devices, disk)
	file := d.files[key]
	capacity := disk.CapacityInBytes
	if file.Capacity != 0 {
		capacity = file.Capacity
	}
	entry := ovfDisk{
		ID:        fmt.Sprintf("vmdisk%d", d.disks),
		FileRef:   d.fileIDs[key],
		Format:    "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized",
		Populated: file.PopulatedSize,
	}
	entry.Capacity, entry.Units = inUnits(capacity)
	d.Disks.Disks = append(d.Disks.Disks, entry)
	d.item(rasdItem{
		AddressOnParent: unitNumber(disk),
		ElementName:     disk.DeviceInfo.GetDescription().Label,
		HostResource:    "ovf:/disk/" + entry.ID,
		Parent:          d.instances[disk.ControllerKey],
		ResourceType:    rasdDisk,
	})
}

// inUnits gives a size in the largest unit that divides it.
func inUnits(size int64) (int64, string) {
	for _, power := range []int{40, 30, 20, 10} {
		if unit := int64(1) << power; size > 0 && size%unit == 0 {
			return size / unit, fmt.Sprintf("byte * 2^%d", power)
		}
	}
	return size, "byte"
}

func unitNumber(device types.BaseVirtualDevice) string {
	if unit := device.GetVirtualDevice().UnitNumber; unit != nil {
		return fmt.Sprint(*unit)
	}
	return "0"
}

func (d *descriptor) addCDROM(devices object.VirtualDeviceList, drive *types.VirtualCdrom) {
	item := rasdItem{
		Required:            "false",
		AddressOnParent:     unitNumber(drive),
		AutomaticAllocation: "false",
		ElementName:         drive.DeviceInfo.GetDescription().Label,
		Parent:              d.instances[drive.ControllerKey],
		ResourceSubType:     "vmware.cdrom.remotepassthrough",
		ResourceType:        rasdCDROM,
	}
	if id, ok := d.fileIDs[deviceKey(d.vm.Self, devices, drive)]; ok {
		item.HostResource = "ovf:/file/" + id
		item.ResourceSubType = "vmware.cdrom.iso"
	}
	d.item(item)
}

func (d *descriptor) addNetworkCard(devices object.VirtualDeviceList, device types.BaseVirtualEthernetCard) string {
	card := device.GetVirtualEthernetCard()
	adapter := map[string]string{
		"VirtualVmxnet3": "VmxNet3", "VirtualE1000": "E1000", "VirtualE1000e": "E1000e", "VirtualPCNet32": "PCNet32",
	}[devices.TypeName(device.(types.BaseVirtualDevice))]
	network := defaultNetwork
	switch backing := card.Backing.(type) {
	case *types.VirtualEthernetCardNetworkBackingInfo:
		network = backing.DeviceName
	case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
		network = d.portgroupName(backing.Port.PortgroupKey)
	}
	d.item(rasdItem{
		AddressOnParent:     unitNumber(card),
		AutomaticAllocation: "true",
		Connection:          network,
		Description:         fmt.Sprintf("%s ethernet adapter on %q", adapter, network),
		ElementName:         card.DeviceInfo.GetDescription().Label,
		ResourceSubType:     adapter,
		ResourceType:        rasdEthernet,
		Config:              append(slotInfo(card), optional("wakeOnLanEnabled", "true")),
	})
	return network
}

func (d *descriptor) portgroupName(key string) string {
	ref := types.ManagedObjectReference{Type: "DistributedVirtualPortgroup", Value: key}
	if group, ok := d.registry.Get(ref).(*simulator.DistributedVirtualPortgroup); ok {
		return group.Name
	}
	return key
}

// addConfig writes the settings that OVF itself has no words for.
func (d *descriptor) addConfig() {
	config := d.vm.Config
	hw := &d.System.Hardware
	hw.Config = append(hw.Config, optional("firmware", config.Firmware))
	if secure := config.BootOptions.EfiSecureBootEnabled; config.Firmware == "efi" && secure != nil {
		hw.Config = append(hw.Config, optional("bootOptions.efiSecureBootEnabled", fmt.Sprint(*secure)))
	}
	hw.Config = append(hw.Config,
		optional("cpuHotAddEnabled", "false"),
		optional("memoryHotAddEnabled", "false"),
		optional("powerOpInfo.powerOffType", "soft"),
		optional("tools.syncTimeWithHost", "false"))
	nvram := fmt.Sprintf("/%s/nvram", d.vm.Self.Value)
	if id, ok := d.fileIDs[nvram]; ok {
		hw.ExtraConfig = append(hw.ExtraConfig, optional("nvram", "ovf:/file/"+id))
	}
}
