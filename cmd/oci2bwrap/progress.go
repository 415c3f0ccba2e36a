package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/layout"
)

// progress writes how far a command is to a terminal, on one line, once it has
// taken a second. It may be told from any goroutine.
type progress struct {
	mu    sync.Mutex
	w     io.Writer
	width func() int // of the terminal, in columns; 0 = not known
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
	p := &progress{w: std.err, width: func() int { return columns(std.err) }, start: now, since: now, last: now}
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
	fmt.Fprint(p.w, "\r\x1b[K"+fitting(p.words(now), p.width()))
}

// words are the parts of the line, the first of which matters most.
func (p *progress) words(now layout.Progress) []string {
	what, total := doing(now.Step), ""
	if now.Parts > 0 {
		what = fmt.Sprintf("%s %d of %d", what, now.Part, now.Parts)
	}
	if now.Done == 0 {
		return []string{what}
	}
	if now.Total > 0 {
		total = " of " + size(now.Total)
	}
	speed := int64(float64(now.Done) / p.last.Sub(p.since).Seconds())
	return []string{what, size(now.Done) + total, size(speed) + "/s"}
}

// fitting joins as many of the parts as a terminal of width columns has on one
// line: what it has on two, a carriage return does not take back.
func fitting(parts []string, width int) string {
	line := strings.Join(parts, ", ")
	switch {
	case width == 0 || len(line) < width:
		return line
	case len(parts) > 1:
		return fitting(parts[:len(parts)-1], width)
	}
	return line[:width-1]
}

// columns is how wide a terminal is; 0 where it does not say.
func columns(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
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
