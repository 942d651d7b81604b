// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
)

// corkSize is how much is gathered before a write to the socket. TLS records are
// 16 KiB at most, and a system call for each costs more than their encryption. Both
// this and bufferSize fit into a core's own cache.
const corkSize = 128 << 10

// corkedConn gathers what TLS writes while a body is being sent.
type corkedConn struct {
	*net.TCPConn
	mu     sync.Mutex
	corked bool
	buf    []byte
}

func (c *corkedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.corked {
		return c.TCPConn.Write(p)
	}
	c.buf = append(c.buf, p...)
	if len(c.buf) < corkSize {
		return len(p), nil
	}
	return len(p), c.flushLocked()
}

func (c *corkedConn) flushLocked() error {
	if len(c.buf) == 0 {
		return nil
	}
	_, err := c.TCPConn.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}

func (c *corkedConn) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flushLocked()
}

func (c *corkedConn) cork() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corked = true
	if c.buf == nil {
		c.buf = make([]byte, 0, corkSize+32<<10)
	}
}

func (c *corkedConn) uncork() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corked = false
	return c.flushLocked()
}

// corkListener accepts connections that can be corked.
type corkListener struct{ net.Listener }

func (l corkListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &corkedConn{TCPConn: conn.(*net.TCPConn)}, nil
}

type connKey struct{}

// withConn lets a handler reach the connection below TLS.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// connOf gives a request's TLS connection and the TCP connection below it.
func connOf(ctx context.Context) (*tls.Conn, *corkedConn) {
	secure := ctx.Value(connKey{}).(*tls.Conn)
	return secure, secure.NetConn().(*corkedConn)
}
