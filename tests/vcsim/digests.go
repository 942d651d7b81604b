// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"sync"
	"sync/atomic"
)

// sending is what of a file reached the wire: all of it, or less, or with one
// byte changed.
type sending struct {
	source string
	length int64
	flipAt int64 // -1 for none
}

type digests struct {
	sha1, sha256 string
	err          error
}

// digestCache knows the digests of what is served, so that serving costs no
// hashing and HttpNfcLeaseGetManifest answers at once.
type digestCache struct {
	mu      sync.Mutex
	known   map[sending]*sync.Once
	values  map[sending]*digests
	pending atomic.Int64 // files of the inventory still to be read
}

func newDigestCache() *digestCache {
	return &digestCache{known: map[sending]*sync.Once{}, values: map[sending]*digests{}}
}

// warm reads the inventory's files in the background.
func (c *digestCache) warm(files []machineFile) {
	c.pending.Add(int64(len(files)))
	go func() {
		for _, f := range files {
			if info, err := os.Stat(f.source); err == nil {
				_, _ = c.of(sending{f.source, info.Size(), -1})
			}
			c.pending.Add(-1)
		}
	}()
}

func (c *digestCache) of(s sending) (*digests, error) {
	c.mu.Lock()
	once, ok := c.known[s]
	if !ok {
		once = new(sync.Once)
		c.known[s] = once
	}
	c.mu.Unlock()
	once.Do(func() {
		value := s.digest()
		c.mu.Lock()
		c.values[s] = value
		c.mu.Unlock()
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.values[s], c.values[s].err
}

func (s sending) digest() *digests {
	f, err := os.Open(s.source)
	if err != nil {
		return &digests{err: err}
	}
	defer f.Close()
	h1, h256 := sha1.New(), sha256.New()
	reader := &flippingReader{source: io.LimitReader(f, s.length), flipAt: s.flipAt}
	if _, err := io.CopyBuffer(io.MultiWriter(h1, h256), reader, make([]byte, 1<<20)); err != nil {
		return &digests{err: err}
	}
	return &digests{sha1: hex.EncodeToString(h1.Sum(nil)), sha256: hex.EncodeToString(h256.Sum(nil))}
}

// flippingReader inverts the byte at one offset.
type flippingReader struct {
	source io.Reader
	flipAt int64
	at     int64
}

func (r *flippingReader) Read(p []byte) (int, error) {
	n, err := r.source.Read(p)
	flip(p[:n], r.at, r.flipAt)
	r.at += int64(n)
	return n, err
}

// flip inverts the byte at flipAt when it lies in p, whose first byte is at `at`.
func flip(p []byte, at, flipAt int64) {
	if i := flipAt - at; i >= 0 && i < int64(len(p)) {
		p[i] ^= 0xff
	}
}
