package layout

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Progress says how far unpacking an image has come, or, with Layers 0, reading
// the archive it is in.
type Progress struct {
	Done, Total   int64 // bytes of the layers' blobs as stored; what is shared isn't counted. Of an archive Total may be unknown: 0
	Layer, Layers int   // the layer that is being applied, from 1, and how many there are
}

// progressEvery is how often progress is told.
const progressEvery = 100 * time.Millisecond

// meter counts the bytes that are read and tells of them in a goroutine of
// its own, so that who listens can't hold up who reads.
type meter struct {
	done  atomic.Int64
	plain atomic.Int64 // bytes after decompression
	layer atomic.Int64
	end   chan struct{}
	wg    sync.WaitGroup
}

// newMeter starts to tell of layers, the first of which is number from.
func newMeter(tell func(Progress), layers []Layer, from int) *meter {
	p := Progress{Layer: from, Layers: from - 1 + len(layers)}
	for _, l := range layers {
		p.Total += l.Size
	}
	return startMeter(tell, p)
}

// startMeter starts to tell of what p says.
func startMeter(tell func(Progress), p Progress) *meter {
	c := &meter{end: make(chan struct{})}
	c.layer.Store(int64(p.Layer))
	if tell == nil {
		return c
	}
	now := func() {
		p.Done, p.Layer = c.done.Load(), int(c.layer.Load())
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
