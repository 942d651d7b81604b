// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Vcsim is a vCenter for tests: govmomi's simulator, and what it lacks for
// exporting VMs. See README.md.
package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

type options struct {
	inventory, faults, ready, directory string
	address                             string
	port, hosts, machines               int
	username, password                  string
	leaseTimeout, leaseDelay            time.Duration
	contentLength, parentDeath          bool
	thumbprintAlgorithm                 string
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("vcsim", flag.ContinueOnError)
	flags.StringVar(&o.inventory, "inventory", "", "JSON `file` that lists the VMs")
	flags.StringVar(&o.faults, "faults", "", "JSON `file` with the faults in force from the start")
	flags.StringVar(&o.ready, "ready", "", "`file` to write when the simulator serves (printed when empty)")
	flags.StringVar(&o.directory, "directory", "", "`directory` for the CA's certificate (a temporary one when empty)")
	flags.StringVar(&o.address, "address", "127.0.0.1", "IP `address` to listen on")
	flags.IntVar(&o.port, "port", 0, "vCenter's port (a free one when 0)")
	flags.IntVar(&o.hosts, "hosts", 2, "ESXi hosts in each datacenter's cluster")
	flags.IntVar(&o.machines, "machines", 0, "VMs of the simulator's own in each cluster, which can't be exported")
	flags.StringVar(&o.username, "username", "administrator@vsphere.local", "the only user")
	flags.StringVar(&o.password, "password", "VMware1!", "the user's password")
	flags.DurationVar(&o.leaseTimeout, "lease-timeout", 300*time.Second, "time without progress after which a lease expires")
	flags.DurationVar(&o.leaseDelay, "lease-delay", 200*time.Millisecond, "how long a lease takes to get ready")
	flags.BoolVar(&o.contentLength, "content-length", false, "send Content-Length instead of chunked bodies")
	flags.BoolVar(&o.parentDeath, "parent-death", false, "end when the parent process has ended")
	flags.StringVar(&o.thumbprintAlgorithm, "thumbprint", "sha1", "algorithm of the leases' sslThumbprint: sha1 or sha256")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.inventory == "" {
		return o, errors.New("-inventory is missing")
	}
	if o.hosts < 1 {
		return o, errors.New("-hosts must be 1 or more")
	}
	return o, oneOf("-thumbprint", o.thumbprintAlgorithm, "sha1", "sha256")
}

// readyFile tells the program that started the simulator where it serves.
type readyFile struct {
	Hostname      string `json:"hostname"`
	Port          int    `json:"port"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	CAPath        string `json:"ca_path"`
	Thumbprint    string `json:"thumbprint"`
	StatusURL     string `json:"status_url"`
	NFCPort       int    `json:"nfc_port"`
	NFCThumbprint string `json:"nfc_thumbprint"`
	PID           int    `json:"pid"`
}

func main() {
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	log.SetPrefix("vcsim ")
	opts, err := parseOptions(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(opts)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "vcsim: %v\n", err)
		os.Exit(1)
	}
}

func run(opts options) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	if opts.parentDeath {
		go watchParent(os.Getppid(), stop)
	}
	inv, err := loadInventory(opts.inventory)
	if err != nil {
		return err
	}
	faults := new(faultSet)
	if opts.faults != "" {
		data, err := os.ReadFile(opts.faults)
		if err != nil {
			return err
		}
		list, err := parseFaults(data)
		if err != nil {
			return fmt.Errorf("%s: %w", opts.faults, err)
		}
		faults.replace(list)
	}
	if opts.directory == "" {
		if opts.directory, err = os.MkdirTemp("", "vcsim-"); err != nil {
			return err
		}
		defer os.RemoveAll(opts.directory)
	}
	nfc, err := newNFCServer(opts, faults)
	if err != nil {
		return err
	}
	vc, err := newVCenter(opts, inv, nfc, faults)
	if vc != nil {
		defer vc.model.Remove()
	}
	if err != nil {
		return err
	}
	ready, err := vc.serve()
	if err != nil {
		return err
	}
	if err := ready.write(opts.ready); err != nil {
		return err
	}
	<-stop
	return nil
}

// serve starts vCenter and the control API.
func (vc *vcenter) serve() (*readyFile, error) {
	ca, err := newAuthority()
	if err != nil {
		return nil, err
	}
	cert, err := serverCertificate("vcenter.example.invalid", ca)
	if err != nil {
		return nil, err
	}
	caPath := filepath.Join(vc.opts.directory, "ca.pem")
	if err := os.WriteFile(caPath, ca.pem, 0o644); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(vc.opts.address, fmt.Sprint(vc.opts.port)))
	if err != nil {
		return nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}
	start(vc.handler(listener.Addr().String()), tls.NewListener(listener, config))
	control, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	start(vc.control(), control)
	return &readyFile{
		Hostname:      "127.0.0.1",
		Port:          listener.Addr().(*net.TCPAddr).Port,
		Username:      vc.opts.username,
		Password:      vc.opts.password,
		CAPath:        caPath,
		Thumbprint:    thumbprint(cert, "sha256"),
		StatusURL:     "http://" + control.Addr().String(),
		NFCPort:       vc.nfc.port,
		NFCThumbprint: thumbprint(vc.nfc.cert, vc.opts.thumbprintAlgorithm),
		PID:           os.Getpid(),
	}, nil
}

func start(handler http.Handler, listener net.Listener) {
	server := &http.Server{Handler: handler, ErrorLog: quietLog()}
	go func() { log.Fatal(server.Serve(listener)) }()
}

// quietLog drops what clients that go away make net/http say: tests do it on purpose.
func quietLog() *log.Logger { return log.New(io.Discard, "", 0) }

// write puts the file in place at once, so that nobody reads half of it.
func (r *readyFile) write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	data = append(data, '\n')
	if path == "" {
		_, err := os.Stdout.Write(data)
		return err
	}
	part := path + ".part"
	if err := os.WriteFile(part, data, 0o600); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// watchParent stops the simulator when its parent has ended.
func watchParent(parent int, stop chan<- os.Signal) {
	for range time.Tick(200 * time.Millisecond) {
		if os.Getppid() != parent {
			stop <- syscall.SIGTERM
			return
		}
	}
}
