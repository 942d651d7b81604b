// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"time"
)

// pace keeps a body to a number of bytes a second; 0 is as fast as it goes.
type pace struct {
	rate    int64
	started time.Time
	sent    int64
}

func newPace(rate int64) *pace { return &pace{rate: rate, started: time.Now()} }

func (p *pace) limited() bool { return p.rate > 0 }

// most is how much to send at once: a twentieth of a second's worth.
func (p *pace) most() int64 {
	if !p.limited() {
		return bufferSize
	}
	return max(p.rate/20, 1)
}

// wait sleeps until n more bytes are due.
func (p *pace) wait(ctx context.Context, n int64) {
	p.sent += n
	due := p.started.Add(time.Duration(float64(p.sent) / float64(p.rate) * float64(time.Second)))
	select {
	case <-time.After(time.Until(due)):
	case <-ctx.Done():
	}
}
