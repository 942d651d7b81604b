// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"crypto/md5"
	"fmt"
	"path"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"
)

const datastoreName = "LocalDS_0"

// devices lists a VM's controllers, disks, CD drives and network cards.
func (b *builder) devices(spec vmSpec, host *object.HostSystem) (object.VirtualDeviceList, error) {
	var devices object.VirtualDeviceList
	controllers := map[string]types.BaseVirtualController{}
	for i, disk := range spec.Disks {
		controller, ok := controllers[disk.Controller]
		if !ok {
			device, err := createController(devices, disk.Controller)
			if err != nil {
				return nil, err
			}
			controller = device.(types.BaseVirtualController)
			controllers[disk.Controller] = controller
			label(device, controllerLabel(disk.Controller), "")
			devices = append(devices, device)
		}
		device := devices.CreateDisk(controller, types.ManagedObjectReference{},
			datastorePath(spec.Name, fmt.Sprintf("%s_%d.vmdk", spec.Name, i)))
		device.CapacityInKB = disk.Capacity / 1024
		device.CapacityInBytes = disk.Capacity
		backing := device.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
		setDefault(&disk.Mode, backing.DiskMode)
		backing.DiskMode, backing.Sharing = disk.Mode, disk.Sharing
		if !disk.NoContentID {
			backing.ContentId = fmt.Sprintf("%x", md5.Sum([]byte(backing.FileName)))
		}
		label(device, fmt.Sprintf("Hard disk %d", i+1), disk.Label)
		devices = append(devices, device)
	}
	for i := range spec.CDROMs {
		ide, err := devices.CreateIDEController()
		if err != nil {
			return nil, err
		}
		device, err := devices.CreateCdrom(ide.(types.BaseVirtualController))
		if err != nil {
			return nil, err
		}
		label(device, fmt.Sprintf("CD/DVD drive %d", i+1), "")
		devices.InsertIso(device, datastorePath("iso", path.Base(spec.CDROMs[i].Path)))
		devices = append(devices, ide, device)
	}
	if spec.TPM {
		tpm := &types.VirtualTPM{VirtualDevice: types.VirtualDevice{Key: devices.NewKey()}}
		label(tpm, "Virtual TPM", "")
		devices = append(devices, tpm)
	}
	for i, nic := range spec.NICs {
		device, err := b.networkCard(nic, host)
		if err != nil {
			return nil, fmt.Errorf("nic %d: %w", i, err)
		}
		label(device, fmt.Sprintf("Network adapter %d", i+1), "")
		devices = append(devices, device)
	}
	return devices, nil
}

// label names a device as vSphere's clients show it.
func label(device types.BaseVirtualDevice, usual, given string) {
	setDefault(&given, usual)
	device.GetVirtualDevice().DeviceInfo = &types.Description{Label: given}
}

func controllerLabel(kind string) string {
	switch kind {
	case "sata":
		return "SATA controller 0"
	case "nvme":
		return "NVME controller 0"
	}
	return "SCSI controller 0"
}

func datastorePath(directory, name string) string {
	p := object.DatastorePath{Datastore: datastoreName, Path: path.Join(directory, name)}
	return p.String()
}

func createController(devices object.VirtualDeviceList, kind string) (types.BaseVirtualDevice, error) {
	switch kind {
	case "sata":
		return devices.CreateSATAController()
	case "nvme":
		return devices.CreateNVMEController()
	case "pvscsi", "lsilogic", "lsilogic-sas", "buslogic":
		return devices.CreateSCSIController(kind)
	}
	return nil, fmt.Errorf("controller %q is unknown", kind)
}

// networkCard makes a card on the named network, which is made when missing.
func (b *builder) networkCard(nic nicSpec, host *object.HostSystem) (types.BaseVirtualDevice, error) {
	network, err := b.finder.Network(b.ctx, nic.Network)
	if err != nil {
		if err := b.addNetwork(nic, host); err != nil {
			return nil, fmt.Errorf("network %s: %w", nic.Network, err)
		}
		if network, err = b.finder.Network(b.ctx, nic.Network); err != nil {
			return nil, err
		}
	}
	backing, err := network.EthernetCardBackingInfo(b.ctx)
	if err != nil {
		return nil, err
	}
	device, err := object.VirtualDeviceList{}.CreateEthernetCard(nic.Adapter, backing)
	if err != nil {
		return nil, err
	}
	card := device.(types.BaseVirtualEthernetCard).GetVirtualEthernetCard()
	card.Key = -1
	card.AddressType = string(types.VirtualEthernetCardMacTypeAssigned)
	card.MacAddress = nic.MAC
	if nic.MAC != "" {
		card.AddressType = string(types.VirtualEthernetCardMacTypeManual)
	}
	if nic.PCISlot != 0 {
		card.SlotInfo = &types.VirtualDevicePciBusSlotInfo{PciSlotNumber: nic.PCISlot}
	}
	return device, nil
}

func (b *builder) addNetwork(nic nicSpec, host *object.HostSystem) error {
	if nic.DVPort {
		return b.addDistributedPortgroup(nic.Network)
	}
	system, err := host.ConfigManager().NetworkSystem(b.ctx)
	if err != nil {
		return err
	}
	return system.AddPortGroup(b.ctx, types.HostPortGroupSpec{Name: nic.Network, VswitchName: "vSwitch0"})
}

func (b *builder) addDistributedPortgroup(name string) error {
	network, err := b.finder.Network(b.ctx, "DVS0")
	if err != nil {
		return err
	}
	dvs, ok := network.(*object.DistributedVirtualSwitch)
	if !ok {
		return fmt.Errorf("DVS0 is %T, not a distributed switch", network)
	}
	task, err := dvs.AddPortgroup(b.ctx, []types.DVPortgroupConfigSpec{{
		Name:     name,
		Type:     string(types.DistributedVirtualPortgroupPortgroupTypeEarlyBinding),
		NumPorts: 8,
	}})
	if err != nil {
		return err
	}
	return task.Wait(b.ctx)
}
