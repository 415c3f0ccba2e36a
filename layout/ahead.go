package layout

import "context"

// aheadMost is how many layers may be read ahead of the one that is applied.
// Each takes at most (2*chunkCount + aheadCount + 2)*chunkSize of buffers and what
// its decompressor needs, whatever its size.
const aheadMost = 2

// ahead opens the layers of an image before their turn, so that small ones
// are decompressed while a large one is written.
type ahead struct {
	ctx    context.Context
	layers []Layer
	limits Limits
	count  *meter
	pool   *chunkPool
	dirFD  int      // where their spills are
	opened []opened // of layers[next:]
	next   int

	windows windows
}

type opened struct {
	s   *stream
	err error
}

func newAhead(ctx context.Context, layers []Layer, limits Limits, count *meter, dirFD int) *ahead {
	return &ahead{ctx: ctx, layers: layers, limits: limits, count: count, pool: newChunkPool(), dirFD: dirFD}
}

// stream returns the content of the next layer.
func (a *ahead) stream() (*stream, error) {
	for len(a.opened) <= aheadMost && a.next+len(a.opened) < len(a.layers) {
		s, err := a.open(&a.layers[a.next+len(a.opened)])
		a.opened = append(a.opened, opened{s, err})
	}
	o := a.opened[0]
	a.opened = a.opened[1:]
	a.next++
	if o.err == nil {
		close(o.s.turn)
	}
	return o.s, o.err
}

// close ends what was opened and not asked for.
func (a *ahead) close() {
	for _, o := range a.opened {
		if o.err == nil {
			o.s.close()
		}
	}
}

// chunkPool hands the buffers of finished layers to those that follow.
type chunkPool struct{ free chan []byte }

func newChunkPool() *chunkPool {
	return &chunkPool{make(chan []byte, (aheadMost+1)*(2*chunkCount+aheadCount+2))}
}

func (p *chunkPool) get() []byte {
	select {
	case b := <-p.free:
		return b
	default:
		return make([]byte, chunkSize)
	}
}

func (p *chunkPool) put(b []byte) {
	select {
	case p.free <- b:
	default:
	}
}
