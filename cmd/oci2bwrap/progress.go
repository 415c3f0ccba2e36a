package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/oci2bwrap/oci2bwrap/layout"
)

// progress writes how far reading an archive or unpacking is to a terminal, on
// one line, once it has taken a second. It may be told from any goroutine.
type progress struct {
	mu     sync.Mutex
	w      io.Writer
	start  time.Time
	layers int       // 0 = an archive is read
	since  time.Time // of that or the unpacking
	last   time.Time // told
	shown  bool
	ended  bool
}

// newProgress gives what opening an image and a Store tell, and what ends it;
// both do nothing where there is no terminal to show it on, or nobody wants to see it.
func newProgress(std stdio, quiet bool) (tell func(layout.Progress), done func()) {
	if quiet || std.err == nil || !isTerminal(std.err) {
		return nil, func() {}
	}
	now := time.Now()
	p := &progress{w: std.err, start: now, since: now, last: now}
	return p.tell, p.done
}

func (p *progress) tell(now layout.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended || now.Done == 0 {
		return // layers wait while the archive that they are in is read, which is told of, too
	}
	if now.Layers != p.layers {
		p.layers, p.since = now.Layers, p.last
	}
	p.last = time.Now()
	if p.last.Sub(p.start) < time.Second {
		return
	}
	p.shown = true
	what, total := "reading the archive", ""
	if now.Layers > 0 {
		what = fmt.Sprintf("unpacking layer %d of %d", now.Layer, now.Layers)
	}
	if now.Total > 0 {
		total = " of " + size(now.Total)
	}
	speed := int64(float64(now.Done) / p.last.Sub(p.since).Seconds())
	fmt.Fprintf(p.w, "\r\x1b[K%s, %s%s, %s/s", what, size(now.Done), total, size(speed))
}

func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown && !p.ended {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	p.ended = true
}
