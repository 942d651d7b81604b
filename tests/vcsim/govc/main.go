// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Govc is govmomi's own command line, with the commands that export a VM.
//
// Its program is a module that the Go module proxy does not serve; its commands
// are packages of govmomi, and a main that imports them is govc.
package main

import (
	"os"

	"github.com/vmware/govmomi/cli"
	_ "github.com/vmware/govmomi/cli/about"
	_ "github.com/vmware/govmomi/cli/export"
)

func main() {
	os.Exit(cli.Run(os.Args[1:]))
}
