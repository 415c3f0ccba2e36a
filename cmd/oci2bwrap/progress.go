package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/oci2bwrap/oci2bwrap/layout"
)

// progress writes how far a command is to a terminal, on one line, once it has
// taken a second. It may be told from any goroutine.
type progress struct {
	mu    sync.Mutex
	w     io.Writer
	start time.Time
	step  layout.Step
	parts int
	since time.Time // of the step
	last  time.Time // told
	shown bool
	ended bool
}

// newProgress gives what layout tells, and what ends it;
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
	if p.ended || now.Done == 0 && now.Step != layout.Pruning {
		return // layers wait while the archive that they are in is read, which is told of, too
	}
	if now.Step != p.step || now.Parts != p.parts {
		p.step, p.parts, p.since = now.Step, now.Parts, p.last
	}
	p.last = time.Now()
	if p.last.Sub(p.start) < time.Second {
		return
	}
	p.shown = true
	what, total := doing(now.Step), ""
	if now.Parts > 0 {
		what = fmt.Sprintf("%s %d of %d", what, now.Part, now.Parts)
	}
	if now.Total > 0 {
		total = " of " + size(now.Total)
	}
	if now.Done > 0 {
		speed := int64(float64(now.Done) / p.last.Sub(p.since).Seconds())
		what += fmt.Sprintf(", %s%s, %s/s", size(now.Done), total, size(speed))
	}
	fmt.Fprint(p.w, "\r\x1b[K"+what)
}

func doing(step layout.Step) string {
	switch step {
	case layout.Unpacking:
		return "unpacking layer"
	case layout.Hashing:
		return "hashing layer"
	case layout.Writing:
		return "writing layer"
	case layout.Checking:
		return "checking root"
	case layout.Pruning:
		return "removing root"
	}
	return "reading the archive"
}

func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown && !p.ended {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	p.ended = true
}
