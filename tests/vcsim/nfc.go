// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/vim25/types"
)

// nfcServer is the ESXi host's side: it serves files to whoever has a ticket.
type nfcServer struct {
	faults        *faultSet
	contentLength bool
	algorithm     string // of thumbprints
	cert          tls.Certificate
	port          int // of the host
	impostorPort  int // the same, with another certificate
	files         sync.Map
	buffers       sync.Pool
}

const bufferSize = 128 << 10

func newNFCServer(opts options, faults *faultSet) (*nfcServer, error) {
	s := &nfcServer{faults: faults, contentLength: opts.contentLength, algorithm: opts.thumbprintAlgorithm}
	s.buffers.New = func() any { b := make([]byte, bufferSize); return &b }
	var err error
	if s.cert, err = serverCertificate("esxi-01.example.invalid", nil); err != nil {
		return nil, err
	}
	impostor, err := serverCertificate("esxi-01.example.invalid", nil)
	if err != nil {
		return nil, err
	}
	if s.port, err = s.listen(opts.address, s.cert); err != nil {
		return nil, err
	}
	s.impostorPort, err = s.listen(opts.address, impostor)
	return s, err
}

func (s *nfcServer) listen(address string, cert tls.Certificate) (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return 0, err
	}
	server := &http.Server{Handler: s, ConnContext: withConn, ErrorLog: quietLog()}
	config := &tls.Config{
		Certificates:                []tls.Certificate{cert},
		NextProtos:                  []string{"http/1.1"},
		MinVersion:                  tls.VersionTLS12,
		DynamicRecordSizingDisabled: true,
	}
	go func() { log.Fatal(server.Serve(tls.NewListener(corkListener{listener}, config))) }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// nfcFile is a file of a lease under a URL of its own.
type nfcFile struct {
	machineFile
	vm    string
	index int
	name  string // as ESXi calls it
	key   string // of the device

	ticket     string
	url        string
	targetID   string
	thumbprint string
	size       int64
	lease      atomic.Pointer[lease] // set once the lease is ready

	mu       sync.Mutex
	requests []*nfcRequest
	sent     *sending // what HttpNfcLeaseGetManifest tells of the last whole download
}

// nfcRequest is one download, as the status page shows it.
type nfcRequest struct {
	When        float64 `json:"when"`
	Seconds     float64 `json:"seconds"`
	Bytes       int64   `json:"bytes"`
	Status      int     `json:"status"`
	Outcome     string  `json:"outcome"`
	Credentials bool    `json:"credentials"` // the client sent a cookie or a password
}

// publish gives a file its ticket and URL, and makes the faults of names happen.
func (s *nfcServer) publish(f *nfcFile, faults *faultSet) {
	f.ticket = uuid.New().String()
	f.targetID = f.name
	f.thumbprint = thumbprint(s.cert, s.algorithm)
	if info, err := os.Stat(f.source); err == nil {
		f.size = info.Size()
	}
	host, port, name := "127.0.0.1", s.port, f.name
	if faults.one("star_host", f.vm, f) != nil {
		host = "*"
	}
	if fault := faults.one("host_name", f.vm, f); fault != nil {
		host = fault.Value
	}
	if faults.one("wrong_certificate", f.vm, f) != nil {
		port = s.impostorPort
	}
	if fault := faults.one("target_id", f.vm, f); fault != nil {
		f.targetID = fault.Value
	}
	if fault := faults.one("url_name", f.vm, f); fault != nil {
		name = fault.Value
	}
	f.url = fmt.Sprintf("https://%s:%d/nfc/%s/%s", host, port, f.ticket, url.PathEscape(name))
	s.files.Store(f.ticket, f)
}

func (f *nfcFile) deviceURL() types.HttpNfcLeaseDeviceUrl {
	disk := f.kind == kindDisk
	device := types.HttpNfcLeaseDeviceUrl{
		Key:           f.key,
		ImportKey:     f.key,
		Url:           f.url,
		SslThumbprint: f.thumbprint,
		Disk:          &disk,
		TargetId:      f.targetID,
	}
	if !disk {
		device.FileSize = f.size // as on ESXi, only files other than disks tell their size
	}
	return device
}

// manifestEntry is nil for a file that was not sent to its end.
func (f *nfcFile) manifestEntry(cache *digestCache, checksumType string) (*types.HttpNfcLeaseManifestEntry, error) {
	f.mu.Lock()
	sent := f.sent
	f.mu.Unlock()
	if sent == nil {
		return nil, nil
	}
	d, err := cache.of(*sent)
	if err != nil {
		return nil, err
	}
	entry := &types.HttpNfcLeaseManifestEntry{
		Key:      f.key,
		Sha1:     d.sha1,
		Size:     sent.length,
		Disk:     f.kind == kindDisk,
		Capacity: f.capacity,
	}
	switch checksumType {
	case "sha1":
		entry.ChecksumType, entry.Checksum = checksumType, d.sha1
	case "sha256":
		entry.ChecksumType, entry.Checksum = checksumType, d.sha256
	}
	return entry, nil
}

// ServeHTTP sends a file. Only the ticket in the URL counts.
func (s *nfcServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.EscapedPath(), "/")
	if len(parts) < 3 || parts[1] != "nfc" {
		http.NotFound(w, r)
		return
	}
	found, ok := s.files.Load(parts[2])
	if !ok {
		http.NotFound(w, r)
		return
	}
	f := found.(*nfcFile)
	request := &nfcRequest{
		When:        seconds(time.Now()),
		Status:      http.StatusOK,
		Outcome:     "in progress",
		Credentials: r.Header.Get("Cookie") != "" || r.Header.Get("Authorization") != "",
	}
	f.mu.Lock()
	f.requests = append(f.requests, request)
	f.mu.Unlock()
	started := time.Now()
	defer func() {
		f.mu.Lock()
		request.Seconds = time.Since(started).Seconds()
		f.mu.Unlock()
	}()
	refuse := func(status int, outcome string) {
		f.outcome(request, status, outcome)
		http.Error(w, outcome, status)
	}
	l := f.lease.Load()
	if l == nil || l.hasEnded() {
		refuse(http.StatusNotFound, "refused: the lease is not ready")
		return
	}
	if r.Method != http.MethodGet {
		refuse(http.StatusMethodNotAllowed, "refused: the method is not GET")
		return
	}
	source, err := os.Open(f.source)
	if err != nil {
		refuse(http.StatusInternalServerError, err.Error())
		return
	}
	defer source.Close()
	plan := s.faults.plan(f)
	if plan.status != 0 {
		if plan.retryAfter != nil {
			w.Header().Set("Retry-After", fmt.Sprint(*plan.retryAfter))
		}
		refuse(plan.status, "refused: "+http.StatusText(plan.status))
		return
	}
	if f.kind == kindDisk {
		w.Header().Set("Content-Type", "application/x-vnd.vmware-streamVmdk")
	} else {
		w.Header().Set("Content-Type", "application/octet-stream")
	}
	if s.contentLength || plan.contentLength {
		w.Header().Set("Content-Length", fmt.Sprint(f.size))
	} else {
		w.Header().Set("Transfer-Encoding", "chunked")
	}
	sender := &sender{server: s, file: f, lease: l, plan: plan, request: request, w: w, r: r}
	sender.send(source)
}

func (f *nfcFile) outcome(request *nfcRequest, status int, outcome string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	request.Status, request.Outcome = status, outcome
}

func (l *lease) hasEnded() bool {
	select {
	case <-l.gone:
		return true
	default:
		return false
	}
}

// sender is one body on its way.
type sender struct {
	server  *nfcServer
	file    *nfcFile
	lease   *lease
	plan    *plan
	request *nfcRequest
	w       http.ResponseWriter
	r       *http.Request
	at      int64
}

func (s *sender) send(source io.ReaderAt) {
	_, conn := connOf(s.r.Context())
	conn.cork()
	defer func() { _ = conn.uncork() }()
	pooled := s.server.buffers.Get().(*[]byte)
	defer s.server.buffers.Put(pooled)
	buffer := *pooled
	pace := newPace(s.plan.rate)
	for s.at < s.file.size {
		for step := s.plan.next(); step != nil && step.at <= s.at; step = s.plan.next() {
			s.plan.steps = s.plan.steps[1:]
			if ended := s.do(step); ended {
				return
			}
		}
		n := min(int64(len(buffer)), s.file.size-s.at, pace.most())
		if step := s.plan.next(); step != nil {
			n = min(n, step.at-s.at)
		}
		if _, err := source.ReadAt(buffer[:n], s.at); err != nil {
			s.end("failed: " + err.Error())
			panic(http.ErrAbortHandler)
		}
		flip(buffer[:n], s.at, s.plan.flipAt)
		if s.lease.hasEnded() {
			s.end("cut off: the lease has ended")
			s.reset()
		}
		if _, err := s.w.Write(buffer[:n]); err != nil {
			s.end("the client has gone")
			panic(http.ErrAbortHandler)
		}
		s.at += n
		atomic.StoreInt64(&s.request.Bytes, s.at)
		if pace.limited() {
			s.flush()
			pace.wait(s.r.Context(), n)
		}
	}
	for _, step := range s.plan.steps {
		if ended := s.do(step); ended {
			return
		}
	}
	s.whole("complete", s.file.size)
}

// do makes a fault happen in the middle of the body and tells whether the body
// ends with it.
func (s *sender) do(step *step) bool {
	s.flush()
	switch step.kind {
	case "stall":
		select {
		case <-step.wait():
		case <-s.r.Context().Done():
		case <-s.lease.gone:
		}
	case "drop":
		time.Sleep(50 * time.Millisecond) // let the client have what was sent before
		s.end("dropped")
		if step.fault.How == "close" {
			s.hangUp()
		}
		s.reset()
	case "truncate":
		s.whole("ended early", s.at)
		return true
	case "session_lost":
		s.lease.vc.loseSessions(step.fault)
	case "lease_expire":
		s.lease.expire()
	}
	return false
}

// whole notes a body that ended as HTTP wants it, and what the manifest says of it.
func (s *sender) whole(outcome string, length int64) {
	sent := sending{source: s.file.source, length: s.file.size, flipAt: -1}
	if s.plan.manifestAsSent {
		sent.length, sent.flipAt = length, s.plan.flipAt
	}
	s.file.mu.Lock()
	s.file.sent = &sent
	s.file.mu.Unlock()
	s.end(outcome)
}

func (s *sender) end(outcome string) { s.file.outcome(s.request, http.StatusOK, outcome) }

func (s *sender) flush() {
	_ = http.NewResponseController(s.w).Flush()
	_, conn := connOf(s.r.Context())
	_ = conn.flush()
}

// reset breaks the TCP connection with RST.
func (s *sender) reset() {
	_, conn := connOf(s.r.Context())
	_ = conn.SetLinger(0)
	_ = conn.TCPConn.Close()
	panic(http.ErrAbortHandler)
}

// hangUp closes TLS and TCP in order, in the middle of the body.
func (s *sender) hangUp() {
	secure, conn := connOf(s.r.Context())
	_ = conn.uncork()
	_ = secure.Close()
	panic(http.ErrAbortHandler)
}
