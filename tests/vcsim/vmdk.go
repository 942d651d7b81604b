// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/binary"
	"fmt"
	"os"
)

const sectorSize = 512

// vmdkCapacity reads the size of the disk in bytes from the header of a sparse
// VMDK (VMware's "Virtual Disk Format 5.0": magic "KDMV", and the capacity in
// sectors at offset 12, both little-endian).
func vmdkCapacity(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	header := make([]byte, sectorSize)
	if _, err := f.ReadAt(header, 0); err != nil {
		return 0, fmt.Errorf("%s: no VMDK header: %w", path, err)
	}
	if string(header[:4]) != "KDMV" {
		return 0, fmt.Errorf("%s is not a sparse VMDK: give the disk's capacity in the inventory", path)
	}
	return int64(binary.LittleEndian.Uint64(header[12:20])) * sectorSize, nil
}
