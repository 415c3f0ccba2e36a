package layout

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Step is what is being done.
type Step int

const (
	Reading   Step = iota // an archive that can't be read where it lies
	Unpacking             // layers; what is shared with another root isn't counted
	Hashing               // directories and store paths, of which layers are made
	Writing               // layers to an image layout
	Checking              // roots of a Store
	Pruning               // these; what is told is what that has given back
)

// Progress says how far a step has come.
type Progress struct {
	Step        Step
	Done, Total int64 // bytes, of layers as they are stored; Total 0 = not known
	Part, Parts int   // the layer or root under way, from 1, and how many there are; 0 = an archive
}

// progressEvery is how often progress is told.
const progressEvery = 100 * time.Millisecond

// meter counts the bytes that are read and tells of them in a goroutine of
// its own, so that who listens can't hold up who reads.
type meter struct {
	done  atomic.Int64
	plain atomic.Int64 // bytes after decompression
	part  atomic.Int64
	end   chan struct{}
	wg    sync.WaitGroup
}

// newMeter starts to tell of layers, the first of which is number from.
func newMeter(tell func(Progress), step Step, layers []Layer, from int) *meter {
	p := Progress{Step: step, Part: from, Parts: from - 1 + len(layers)}
	for _, l := range layers {
		p.Total += l.Size
	}
	return startMeter(tell, p)
}

// startMeter starts to tell of what p says.
func startMeter(tell func(Progress), p Progress) *meter {
	c := &meter{end: make(chan struct{})}
	c.part.Store(int64(p.Part))
	if tell == nil {
		return c
	}
	now := func() {
		p.Done, p.Part = c.done.Load(), int(c.part.Load())
		tell(p)
	}
	c.wg.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				now()
			case <-c.end:
				now()
				return
			}
		}
	})
	return c
}

// stop tells for the last time; after it nothing is told.
func (c *meter) stop() {
	close(c.end)
	c.wg.Wait()
}

// begin says which part is under way, from 1.
func (c *meter) begin(part int) { c.part.Store(int64(part)) }

// Write counts what is written.
func (c *meter) Write(p []byte) (int, error) {
	c.done.Add(int64(len(p)))
	return len(p), nil
}

// reader counts what is read of r.
func (c *meter) reader(r io.Reader) io.Reader { return &counted{r, c} }

type counted struct {
	r io.Reader
	c *meter
}

func (r *counted) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.c.done.Add(int64(n))
	return n, err
}
