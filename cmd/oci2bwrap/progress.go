package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/oci2bwrap/oci2bwrap/layout"
)

// progress writes how far unpacking is to a terminal, on one line, once it
// has taken a second. It may be told from any goroutine.
type progress struct {
	mu    sync.Mutex
	w     io.Writer
	start time.Time
	shown bool
}

// newProgress gives what a Store tells, and what ends it; both do nothing
// where there is no terminal to show it on, or nobody wants to see it.
func newProgress(std stdio, quiet bool) (tell func(layout.Progress), done func()) {
	if quiet || std.err == nil || !isTerminal(std.err) {
		return nil, func() {}
	}
	p := &progress{w: std.err, start: time.Now()}
	return p.tell, p.done
}

func (p *progress) tell(now layout.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	took := time.Since(p.start)
	if took < time.Second {
		return
	}
	p.shown = true
	speed := int64(float64(now.Done) / took.Seconds())
	fmt.Fprintf(p.w, "\r\x1b[Kunpacking layer %d of %d, %s of %s, %s/s", now.Layer, now.Layers, size(now.Done), size(now.Total), size(speed))
}

func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}
