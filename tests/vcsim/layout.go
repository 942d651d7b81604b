// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// fillLayout makes the VM's disks occupy their whole capacity on the datastore, as
// disks that are provisioned thick do; the simulator's own are empty files.
func fillLayout(vm *simulator.VirtualMachine) {
	capacity := map[int32]int64{}
	for _, device := range vm.Config.Hardware.Device {
		if disk, ok := device.(*types.VirtualDisk); ok {
			capacity[disk.Key] = disk.CapacityInBytes
		}
	}
	for _, disk := range vm.LayoutEx.Disk {
		for _, link := range disk.Chain {
			extent := link.FileKey[len(link.FileKey)-1]
			for i := range vm.LayoutEx.File {
				if file := &vm.LayoutEx.File[i]; file.Key == extent {
					file.Size, file.UniqueSize = capacity[disk.Key], capacity[disk.Key]
				}
			}
		}
	}
}
